"""A time range in slices that grow, from the end that is asked for first: a page mostly ends in the first."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.query.model.predicate import TimeRange

# Rows of one account lie in the order of its key: a slice only bounds planning. Without an account, a slice is read
# whole and sorted.
WITH_ACCOUNT = (timedelta(days=1), timedelta(days=8), timedelta(days=36))
WITHOUT_ACCOUNT = (
    timedelta(hours=1),
    timedelta(hours=7),
    timedelta(days=2),
    timedelta(days=9),
    timedelta(days=37),
    timedelta(days=130),
)


def time_windows(
    start: datetime, end: datetime, now: datetime, *, newest_first: bool, ordered: bool
) -> Iterator[TimeRange]:
    """Adjoining ranges that make up [start, end). `ordered`: rows come out of the index in order."""
    if start >= end:
        return
    widths = WITH_ACCOUNT if ordered else WITHOUT_ACCOUNT
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
