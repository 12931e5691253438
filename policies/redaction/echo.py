"""Echoes: runs of an error text that the report's own content holds too."""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count

from policies.redaction.views import decode, encode, unescaped

RUN_CHARS = 16
_BLOCK_CHARS = RUN_CHARS // 2
_REACH_CHARS = _BLOCK_CHARS + _BLOCK_CHARS // 2
_SEEN_WITHOUT_INDEX = 256
_FEW_BLOCKS = 4
_WORD = re.compile(r"\w")


class ContentIndex:
    """The content strings of one report; costs nothing until an error text is held against them.

    A run of 16 characters of content holds one whole 8-character block that starts at a multiple of 8.
    So the content is walked block by block, and only a block that the text holds too is looked at closer:
    time and memory are linear in both.
    """

    __slots__ = ("_strings",)

    def __init__(self, strings: Iterable[str]) -> None:
        self._strings = tuple(strings)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Byte spans (UTF-8) of `text` in runs of 16 or more characters of the content, escaped or not; merged."""
        if not self._strings or len(text) < RUN_CHARS:
            return []
        found = list(_byte_spans(text, self._echoes(text)))
        view = unescaped(encode(text))
        if view is not None:
            opened = decode(view.data)
            found.extend(view.origin(*span) for span in _byte_spans(opened, self._echoes(opened)))
        return found

    def _echoes(self, text: str) -> Iterator[tuple[int, int]]:
        """Character spans of `text` that are runs of the content."""
        windows: set[str] = set()
        echoed: set[str] = set()
        seen: set[str] = set()
        reaches = _Reaches(text)
        for string, at in (_ascii_candidates if text.isascii() else _candidates)(text, self._strings):
            if not reaches.holds(string, at):
                continue
            new = set(_around(string, at)) - seen
            if len(seen) < _SEEN_WITHOUT_INDEX:
                seen |= new
                echoed.update([window for window in new if window in text])
                continue
            windows = windows or {text[at : at + RUN_CHARS] for at in range(len(text) - RUN_CHARS + 1)}
            echoed |= windows & new
        yield from _runs(text, {window for window in echoed if _WORD.search(window)})


class _Reaches:
    """Whether a block goes on to one side of it as the text does: of the 8 characters that a run adds, 4 are there."""

    __slots__ = ("_known", "_text", "_texts")

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[str, bool] = {}
        self._texts: set[str] | None = None

    def holds(self, string: str, at: int) -> bool:
        return self._has(string[at : at + _REACH_CHARS]) or (
            at + _BLOCK_CHARS >= _REACH_CHARS
            and self._has(string[at + _BLOCK_CHARS - _REACH_CHARS : at + _BLOCK_CHARS])
        )

    def _has(self, reach: str) -> bool:
        known = self._known.get(reach)
        if known is None:
            if len(self._known) >= _SEEN_WITHOUT_INDEX and self._texts is None:
                text = self._text
                self._texts = {text[at : at + _REACH_CHARS] for at in range(len(text) - _REACH_CHARS + 1)}
            known = reach in (self._text if self._texts is None else self._texts)
            if len(self._known) < _SEEN_WITHOUT_INDEX:
                self._known[reach] = known
        return known


def _candidates(text: str, strings: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The strings with the places where one of their blocks is in the text."""
    blocks = {text[at : at + _BLOCK_CHARS] for at in range(len(text) - _BLOCK_CHARS + 1)}
    for string in strings:
        for at in range(0, len(string) - _BLOCK_CHARS + 1, _BLOCK_CHARS):
            if string[at : at + _BLOCK_CHARS] in blocks:
                yield string, at


def _ascii_candidates(text: str, strings: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The same for an ASCII text, with all strings in one, as bytes in UTF-8 that are a character each.

    A block is a number of eight bytes, which is quicker to make and to compare than a string.
    To make a set takes longer than to ask one, so it is made of the side that has the fewer blocks.
    """
    own = _numbers_of(text.encode("ascii"))
    content = b"".join([_padded(encode(string)) for string in strings])
    size = len(content) // _BLOCK_CHARS
    if size < len(own):
        numbers = struct.unpack(f"{size}Q", content)
        places = _places(numbers, set(numbers).intersection(own))
    else:
        places = _places_of_many(memoryview(content).cast("Q"), set(own))
    shown = content.decode("latin-1")
    for place in places:
        yield shown, place * _BLOCK_CHARS


def _places(numbers: tuple[int, ...], blocks: set[int]) -> Iterator[int]:
    """Where `numbers` are among `blocks`, all of which are there."""
    if len(blocks) > _FEW_BLOCKS:
        yield from _places_of_many(numbers, blocks)
        return
    for block in blocks:
        place = -1
        for _ in range(numbers.count(block)):
            place = numbers.index(block, place + 1)
            yield place


def _places_of_many(numbers: Sequence[int], blocks: set[int]) -> Iterator[int]:
    if not blocks.isdisjoint(numbers):
        yield from compress(count(), map(blocks.__contains__, numbers))


def _numbers_of(data: bytes) -> tuple[int, ...]:
    """The blocks that begin at each place of `data`, in no order."""
    size = len(data)
    shifted = b"".join([data[shift : size - (size - shift) % _BLOCK_CHARS] for shift in range(_BLOCK_CHARS)])
    return struct.unpack(f"{len(shifted) // _BLOCK_CHARS}Q", shifted)


def _padded(data: bytes) -> bytes:
    """`data` in whole blocks, the last of which ends in what no ASCII text holds, so that no run goes beyond it."""
    return data + b"\xff" * (_BLOCK_CHARS - len(data) % _BLOCK_CHARS)


def _around(string: str, at: int) -> list[str]:
    """The windows of `string` that hold its block at `at` whole."""
    windows = [string[first : first + RUN_CHARS] for first in range(max(0, at - _BLOCK_CHARS), at + 1)]
    return [window for window in windows if len(window) == RUN_CHARS]


def _runs(text: str, echoed: set[str]) -> Iterator[tuple[int, int]]:
    """Character spans of `text` that its echoed windows cover, joined."""
    if not echoed:
        return
    start = end = -1
    for at in range(len(text) - RUN_CHARS + 1):
        if text[at : at + RUN_CHARS] not in echoed:
            continue
        if at > end:
            if end > start:
                yield start, end
            start = at
        end = at + RUN_CHARS
    yield start, end


def _byte_spans(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    last = at = 0
    for start, end in spans:
        low = at + len(encode(text[last:start]))
        at = low + len(encode(text[start:end]))
        last = end
        yield low, at
