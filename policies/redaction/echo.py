"""Echoes: runs of an error text that the report's own content holds too."""

import re
import struct
from collections.abc import Iterable, Iterator

from policies.redaction.views import decode, encode, unescaped

RUN_CHARS = 16
_BLOCK_CHARS = RUN_CHARS // 2
_REACH_CHARS = _BLOCK_CHARS + _BLOCK_CHARS // 2
_SEEN_WITHOUT_INDEX = 256
_WORD = re.compile(r"\w")


class ContentIndex:
    """The content strings of one report; costs nothing until an error text is held against them.

    A run of 16 characters of content holds one whole 8-character block that starts at a multiple of 8.
    So the content is walked block by block, and only a block that the text holds too is looked at closer:
    time is linear in both, and memory is bounded by the text.
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
        plain = text.isascii()
        blocks = _ascii_blocks(text) if plain else _blocks(text)
        windows: set[str] = set()
        echoed: set[str] = set()
        seen: set[str] = set()
        reaches = _Reaches(text)
        for string in self._strings:
            if plain:
                # a run of an ASCII text is the same bytes in UTF-8, so other characters may become any byte
                string = encode(string).decode("latin-1")  # noqa: PLW2901
            for at in _ascii_candidates(string, blocks) if plain else _candidates(string, blocks):
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


def _blocks(text: str) -> set[object]:
    return {text[at : at + _BLOCK_CHARS] for at in range(len(text) - _BLOCK_CHARS + 1)}


def _ascii_blocks(text: str) -> set[object]:
    """The blocks of an ASCII text as numbers of eight bytes, which are quicker to make and to compare."""
    data = text.encode("ascii")
    blocks: set[object] = set()
    for shift in range(_BLOCK_CHARS):
        blocks.update(_numbers(data, shift))
    return blocks


def _numbers(data: bytes, start: int) -> tuple[int, ...]:
    return struct.unpack_from(f"{(len(data) - start) // _BLOCK_CHARS}Q", data, start)


def _candidates(string: str, blocks: set[object]) -> list[int]:
    """Where a block of `string` is one of the text's."""
    return [
        at for at in range(0, len(string) - _BLOCK_CHARS + 1, _BLOCK_CHARS) if string[at : at + _BLOCK_CHARS] in blocks
    ]


def _ascii_candidates(string: str, blocks: set[object]) -> list[int]:
    """The same for a string of bytes, as numbers."""
    data = string.encode("latin-1")
    numbers = memoryview(data[: len(data) - len(data) % _BLOCK_CHARS]).cast("Q")
    if blocks.isdisjoint(numbers):
        return []
    return [at * _BLOCK_CHARS for at, number in enumerate(numbers) if number in blocks]


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
