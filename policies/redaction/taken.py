"""What is taken out of a text already, so that nothing is confirmed that would change nothing."""

import sys
from bisect import bisect_right
from collections.abc import Iterable


class Taken:
    """Spans of one text that are taken out, each for a reason that outranks (`merge.weight`) that of whoever asks.

    A span inside of one of them would be joined with it, and would leave its bounds and its reason as they are.
    """

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def add(self, spans: Iterable[tuple[int, int]]) -> None:
        """Take `spans` too."""
        self._spans.extend(spans)
        self._spans.sort()

    def holds(self, start: int, end: int) -> bool:
        """Whether `start:end` is inside of the one that begins last before it; a longer one before that goes unseen."""
        place = bisect_right(self._spans, (start, sys.maxsize))
        return place > 0 and end <= self._spans[place - 1][1]
