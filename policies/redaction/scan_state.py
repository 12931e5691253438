"""The state of one scan: a text, its normalized forms, and the matches that rules have found so far."""

import sys
from bisect import bisect_right
from collections.abc import Iterable

from policies.redaction.validators.patterns import Pattern

Spans = list[tuple[int, int]]


class ScanState:
    """The bytes of one text, where patterns that several rules share are in it, and what is taken out of it already.

    What is taken is so for reasons that outrank (`merge.Reason`) that of the rule which is asked. A span inside of a
    taken one would be joined with it and leave its bounds and its reason as they are, so nobody needs to confirm it.
    """

    __slots__ = ("_shared", "_taken", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._taken: Spans = []
        self._shared: dict[Pattern, Spans] = {}

    def spans(self, pattern: Pattern) -> Spans:
        """The spans of every match of a pattern that more than one rule walks."""
        spans = self._shared.get(pattern)
        if spans is None:
            spans = self._shared[pattern] = pattern.spans(self.data, 0)
        return spans

    def take(self, spans: Iterable[tuple[int, int]]) -> None:
        """Take `spans` out too."""
        self._taken.extend(spans)
        self._taken.sort()

    def is_taken(self, start: int, end: int) -> bool:
        """Whether `start:end` is inside of the taken span that begins last before it; one before that goes unseen."""
        index = bisect_right(self._taken, (start, sys.maxsize))
        return index > 0 and end <= self._taken[index - 1][1]
