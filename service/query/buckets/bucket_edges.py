"""Edges of time buckets as runs of equal steps: a year of hours is three runs, and not 8,760 moments. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import overload


@dataclass(frozen=True, slots=True)
class EdgeRun:
    """`count` moments, one or more, each `step` after the one before."""

    first: datetime
    step: timedelta
    count: int

    @property
    def last(self) -> datetime:
        """The last of the moments."""
        return self.first + self.step * (self.count - 1)

    def covering(self, start: datetime, end: datetime) -> "EdgeRun":
        """From the last moment that is not after `start` to the first that is not before `end`, as far as there are
        such.
        """
        skipped = min(max(0, (start - self.first) // self.step), self.count - 1)
        first = self.first + self.step * skipped
        needed = max(1, 1 - (first - end) // self.step)
        return EdgeRun(first, self.step, min(self.count - skipped, needed))

    def inside(self, after: datetime, before: datetime) -> "EdgeRun | None":
        """The moments between the two, neither included; None: there are none."""
        skipped = max(0, (after - self.first) // self.step + 1)
        kept = min(self.count, -((self.first - before) // self.step)) - skipped
        return EdgeRun(self.first + self.step * skipped, self.step, kept) if kept > 0 else None

    def __iter__(self) -> Iterator[datetime]:
        return (self.first + self.step * number for number in range(self.count))


class Edges(Sequence[datetime]):
    """Ascending moments, made as they are asked for."""

    __slots__ = ("_ends", "runs")

    def __init__(self, runs: Iterable[EdgeRun] = ()) -> None:
        self.runs = tuple(runs)
        self._ends = tuple(accumulate(run.count for run in self.runs))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> datetime: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[datetime]: ...
    def __getitem__(self, index: int | slice) -> datetime | Sequence[datetime]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, position)
        run = self.runs[number]
        return run.first + run.step * (position - (self._ends[number] - run.count))

    def __iter__(self) -> Iterator[datetime]:
        return (moment for run in self.runs for moment in run)

    def inside(self, after: datetime, before: datetime) -> Iterator[EdgeRun]:
        """The runs of the edges between the two, neither included."""
        for run in self.runs:
            if (part := run.inside(after, before)) is not None:
                yield part
