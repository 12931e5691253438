"""A time range in windows that grow, from the end that is asked for first: a page mostly ends in the first."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from service.query.model.predicate import TimeRange

# Rows of one account lie in the order of its key: a slice only bounds planning. Without an account, a slice is read
# whole and sorted, so the first ones are as narrow as the rows are dense.
WITH_ACCOUNT = (timedelta(days=1), timedelta(days=8), timedelta(days=36))
WITHOUT_ACCOUNT = (
    timedelta(hours=1),
    timedelta(hours=7),
    timedelta(days=2),
    timedelta(days=9),
    timedelta(days=37),
    timedelta(days=130),
)

_WIDEST: Final = WITHOUT_ACCOUNT[0]
_NARROWEST: Final = timedelta(milliseconds=100)
_GROWTH: Final = 8


class Density:
    """How the newest rows of a table lie in time: most are `age` old at least, and a page spreads over `spread`."""

    __slots__ = ("age", "spread")

    def __init__(self) -> None:
        self.age, self.spread = timedelta(), timedelta(seconds=1)

    def learn(self, middle: timedelta, oldest: timedelta) -> None:
        """The newest page over every account has rows of these ages in its middle and at its end: a few that came
        before their time, or from the future of a wrong clock, say nothing of the others.
        """
        self.age = max(middle, timedelta())
        self.spread = max(4 * (oldest - self.age), _NARROWEST)

    def learn_bound(self, searched: timedelta) -> None:
        """So far back there is no full page."""
        self.spread = max(self.spread, searched)

    def widths(self) -> Iterator[timedelta]:
        """Of the first windows: with a thousand calls a second a page lies in a tenth of one, and else in the last
        hour.

        What has changed since costs a few more statements once, or one that reads too much.
        """
        spread = self.spread
        while self.age + spread < _WIDEST:
            yield self.age + spread
            spread *= _GROWTH
        yield from WITHOUT_ACCOUNT


def time_windows(
    start: datetime, end: datetime, now: datetime, *, newest_first: bool, density: Density | None
) -> Iterator[TimeRange]:
    """Adjoining ranges that make up [start, end). `density`: None where rows come out of the index in order."""
    if start >= end:
        return
    widths = WITH_ACCOUNT if density is None else density.widths()
    if newest_first:
        # What a wrong clock has put into the future belongs to the first slice.
        newest, upper = max(min(end, now), start), end
        for width in widths:
            if newest - width > start:
                yield TimeRange(newest - width, upper)
                upper = newest - width
        yield TimeRange(start, upper)
    else:
        lower, last = start, min(end, now)
        for width in widths:
            if start + width < last:
                yield TimeRange(lower, start + width)
                lower = start + width
        yield TimeRange(lower, end)
