"""Echoes: runs of an error text that the report's own content holds too."""

import re
from collections.abc import Iterable, Iterator

from policies.redaction.views import decode, encode, unescaped

RUN_CHARS = 16
_BLOCK_CHARS = RUN_CHARS // 2
_LOOKS_WITHOUT_INDEX = 32
_INDEX_FROM_CHARS = 4096
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
        blocks: str | set[str] = text  # both can be asked what is `in` them
        if len(text) > _INDEX_FROM_CHARS or sum(map(len, self._strings)) > _INDEX_FROM_CHARS:
            blocks = {text[at : at + _BLOCK_CHARS] for at in range(len(text) - _BLOCK_CHARS + 1)}
        windows: set[str] = set()
        echoed: set[str] = set()
        looks = 0
        for string in self._strings:
            for at in _candidates(string, blocks):
                looks += 1
                if looks <= _LOOKS_WITHOUT_INDEX:
                    echoed.update([window for window in _around(string, at) if window in text])
                    continue
                windows = windows or {text[at : at + RUN_CHARS] for at in range(len(text) - RUN_CHARS + 1)}
                echoed |= windows.intersection(_around(string, at))
        yield from _runs(text, {window for window in echoed if _WORD.search(window)})


def _candidates(string: str, blocks: str | set[str]) -> list[int]:
    """Where a block of `string` is one of the text's."""
    return [
        at for at in range(0, len(string) - _BLOCK_CHARS + 1, _BLOCK_CHARS) if string[at : at + _BLOCK_CHARS] in blocks
    ]


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
