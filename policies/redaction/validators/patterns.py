"""Compiled patterns, walked without the costs that the library's match objects add to each hit."""

from collections.abc import Callable, Iterator

import re2

_PATTERN_MEMORY_BYTES = 8 << 20

Groups = list[tuple[int, int]]
_Match = Callable[[object, bytes, int, int], Groups]


def options() -> re2.Options:
    """How every pattern is compiled: quiet, and in bounded memory."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = _PATTERN_MEMORY_BYTES
    return chosen


class Pattern:
    """One pattern over bytes. Raises `re2.error` when it does not compile."""

    __slots__ = ("_compiled", "_match", "groups")

    def __init__(self, text: str) -> None:
        self._compiled = re2.compile(text.encode(), options())
        engine = getattr(self._compiled, "_regexp", None) if _UNANCHORED is not None else None
        self._match: _Match | None = None if engine is None else engine.Match
        self.groups: int = self._compiled.groups

    def matches(self, data: bytes) -> Iterator[Groups]:
        """The spans of every match that does not overlap an earlier one: the whole first, then its groups."""
        if self._match is None:
            return self._matches(data)
        return _quick_matches(self._match, data)

    def spans(self, data: bytes, group: int) -> list[tuple[int, int]]:
        """The spans of one group of every match."""
        if self._match is None:
            return [groups[group] for groups in self._matches(data)]
        match, at, end = self._match, 0, len(data)
        found: list[tuple[int, int]] = []
        while at <= end:
            spans = match(_UNANCHORED, data, at, end)
            stop = spans[0][1]
            if stop < 0:
                break
            found.append(spans[group])
            at = stop if stop > at else at + 1
        return found

    def _matches(self, data: bytes) -> Iterator[Groups]:
        numbers = range(self.groups + 1)
        for match in self._compiled.finditer(data):
            yield [match.span(number) for number in numbers]


def _quick_matches(match: _Match, data: bytes) -> Iterator[Groups]:
    """The same by the engine that the library wraps: a third of the time for a short text."""
    at, end = 0, len(data)
    while at <= end:
        spans = match(_UNANCHORED, data, at, end)
        start, stop = spans[0]
        if start < 0:
            return
        yield spans
        at = stop if stop > at else at + 1


def _unanchored() -> object | None:
    """The library's word for a search anywhere; None when a later version keeps it elsewhere."""
    return getattr(getattr(getattr(getattr(re2, "_re2", None), "RE2", None), "Anchor", None), "UNANCHORED", None)


_UNANCHORED = _unanchored()
