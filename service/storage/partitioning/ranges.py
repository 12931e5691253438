"""Ranges of time that partitions cover."""

from bisect import bisect_right
from datetime import datetime


class Ranges:
    """Half-open ranges of time that do not overlap, of one store and tier."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []

    def add(self, start: datetime, end: datetime) -> None:
        """Add a range that overlaps none of those there."""
        index = bisect_right(self._starts, start)
        self._starts.insert(index, start)
        self._ends.insert(index, end)

    def contains(self, moment: datetime) -> bool:
        """Whether one of the ranges contains `moment`."""
        index = bisect_right(self._starts, moment) - 1
        return index >= 0 and moment < self._ends[index]

    def gap(self, moment: datetime, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """The part of `start` to `end` around `moment` that no range covers: widths change with the policy."""
        index = bisect_right(self._starts, moment)
        if index > 0:
            start = max(start, self._ends[index - 1])
        if index < len(self._starts):
            end = min(end, self._starts[index])
        return start, end
