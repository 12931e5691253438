"""What a report itself names as a person's: looked for in the other texts of that report, and personal there too."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from policies.redaction.comparing import clusters, is_edge, opened_readings
from policies.redaction.views import encode

PERSON_RULE: Final = "reported-person"
"""The rule that a span is taken out by because its report says that it is a person's."""

VALUES_MAX: Final = 64
"""Values of one report that are looked for."""

_MARK: Final = f"[redacted:{PERSON_RULE}]"
# Such a value is also a word or a figure. It is a person's where somebody names it as one: `user=1`, `'a'`, `budget:1`,
# `user 1`.
_SHORT: Final = re.compile(r"[a-z0-9]{1,2}|[0-9]{3}", re.ASCII)
_OPENING: Final = frozenset("=:\"'`([{</#@|\u201c\u2018\u00ab")
_TITLE: Final = re.compile(
    r"(?:user|customer|client|member|employee|person|subject|owner|id|named?|benutzer|nutzer|kunde)[ \t]{1,3}\Z"
)
_TITLE_CHARS: Final = 16
_GLUE: Final = frozenset(" \t\r\n\u3000+")


class Persons:
    """The values of one report that its policy classes personal."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str | None]) -> None:
        found = dict.fromkeys(" ".join(fold(value).split()) for value in values if value)
        found.pop("", None)
        self._values = tuple(list(found)[:VALUES_MAX])

    def __bool__(self) -> bool:
        return bool(self._values)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where `text` names one, in characters; in order, joined."""
        found: list[tuple[int, int]] = []
        if self._values and text:
            for reading in opened_readings(text):
                found += [reading.origin(*span) for span in self._named(reading.text)]
        return _joined(sorted(found))

    def byte_spans(self, text: str) -> list[tuple[int, int]]:
        """As `spans`, in bytes of UTF-8."""
        return [(len(encode(text[:start])), len(encode(text[:end]))) for start, end in self.spans(text)]

    def masked(self, text: str) -> str:
        """`text` with a mark in place of each person that it names."""
        parts: list[str] = []
        last = 0
        for start, end in self.spans(text):
            parts += (text[last:start], _MARK)
            last = end
        return "".join((*parts, text[last:])) if parts else text

    def _named(self, text: str) -> Iterator[tuple[int, int]]:
        shown = fold(text)
        present = [value for value in self._values if value.partition(" ")[0] in shown]
        if not present:
            return
        edges = None
        if not text.isascii():
            shown, edges = _aligned(text)
        for value in present:
            for start, end in _places(shown, value):
                yield (edges[start][0], edges[end - 1][1]) if edges else (start, end)


def fold(text: str) -> str:
    """`text` without what tells no names apart: case and width."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold()


def _aligned(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The folded text, and for each of its characters where it comes from."""
    parts: list[str] = []
    edges: list[tuple[int, int]] = []
    for start, end in clusters(text):
        part = fold(text[start:end])
        parts.append(part)
        edges += [(start, end)] * len(part)
    return "".join(parts), edges


def _places(text: str, value: str) -> Iterator[tuple[int, int]]:
    first, *others = value.split(" ")
    short = _SHORT.fullmatch(value) is not None
    at = text.find(first)
    while at >= 0:
        end = _end_of(text, at + len(first), others)
        if end and _stands_alone(text, at, end) and not (short and not _is_named(text, at, end)):
            yield at, end
            at = text.find(first, end)
        else:
            at = text.find(first, at + 1)


def _end_of(text: str, end: int, others: list[str]) -> int:
    """Where the words that follow the first one end; 0 when it is something else that follows."""
    for word in others:
        begin = end
        while begin < len(text) and text[begin] in _GLUE:
            begin += 1
        if begin == end or not text.startswith(word, begin):
            return 0
        end = begin + len(word)
    return end


def _stands_alone(text: str, start: int, end: int) -> bool:
    return (start == 0 or is_edge(text[start - 1], text[start])) and (
        end == len(text) or is_edge(text[end], text[end - 1])
    )


def _is_named(text: str, start: int, end: int) -> bool:
    if start == 0:
        return end == len(text)
    return text[start - 1] in _OPENING or _TITLE.search(text, max(0, start - _TITLE_CHARS), start) is not None


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
