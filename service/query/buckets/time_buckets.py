"""Edges of time buckets in any time zone: pure, and by one time-zone database, the `tzdata` package.

A bucket is half-open and lasts as the wall clock says: days of 23, 24 and 25 hours, an hour of 30 or 90 minutes where
clocks move by half an hour, and no bucket at all for a day that a zone skipped (Pacific/Apia, 30 December 2011).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from service.query.buckets.bucket_edges import EdgeRun, Edges
from service.query.model.errors import BadInputError

BUCKETS_MAX = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_APART_AT_LEAST = timedelta(days=1)
"""No zone changes its clocks and back within a day."""


class BucketError(BadInputError):
    """the time buckets cannot be made"""


class TimeBucket(StrEnum):
    """Width of a bucket; weeks begin on Monday (ISO 8601)."""

    MINUTE = "MINUTE"
    QUARTER_HOUR = "QUARTER_HOUR"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


_CLOCK_S = {TimeBucket.MINUTE: 60, TimeBucket.QUARTER_HOUR: 900, TimeBucket.HOUR: 3600}
"""The widths that are cut by the time of the day, in seconds."""


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone `name`, case-sensitive. Raises BucketError for any other text.

    Read from the package and never from the host, whose database may be of another year.
    """
    if name not in _zone_names():
        raise BucketError(f"`{name[:60]}` is not an IANA time zone; write one such as `Europe/Vienna` or `UTC`")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def edges(bucket: TimeBucket, zone_name: str, start: datetime, end: datetime) -> Edges:
    """Ascending UTC moments; the first is at or before `start`, the last at or after `end`, start < end.

    Bucket `i` is [edges[i], edges[i + 1]). Takes the time of the zone's changes of clocks, not of the buckets. Raises
    BucketError for more than BUCKETS_MAX buckets.
    """
    runs: list[EdgeRun] = []
    count = 0
    for whole in _runs(bucket, zone_name, start, end):
        run = whole.covering(start, end)
        if run.first <= start:
            runs, count = [], 0
        runs.append(run)
        count += run.count
        if count > BUCKETS_MAX + 1:
            raise BucketError(f"more than {BUCKETS_MAX} buckets; narrow `startedAt` or take a wider `bucket`")
        if run.last >= end:
            break
    return Edges(runs)


def _runs(bucket: TimeBucket, zone_name: str, start: datetime, end: datetime) -> Iterator[EdgeRun]:
    """Every edge from some time before `start` until `end` or later, each run later than the one before."""
    try:
        if (width := _CLOCK_S.get(bucket)) is not None:
            yield from _of_the_clock(width, zone_name, start, end)
        else:
            yield from _days(bucket, zone_name, start, end)
    except OverflowError:
        raise BucketError("the time range leaves the calendar; narrow `startedAt`") from None


def _days(bucket: TimeBucket, zone_name: str, start: datetime, end: datetime) -> Iterator[EdgeRun]:
    tz, days = zone(zone_name), {"DAY": 1, "WEEK": 7, "MONTH": 31}[bucket]
    # A day earlier, because a clock that is set back over midnight begins the same day twice.
    day = _first_day(bucket, start.astimezone(tz).date() - timedelta(days=1))
    last: datetime | None = None
    while True:
        run = EdgeRun(_day_start(tz, day), timedelta(days=days), 1)
        begins = run.first.astimezone(tz)
        # The day that a change of clocks begins is followed by one that begins at midnight again.
        if bucket is not TimeBucket.MONTH and (begins.date(), begins.time()) == (day, time.min):
            run = _lengthened(zone_name, run, end)
        # A day that a zone skipped begins where the next one does.
        later = run if last is None else run.inside(last, run.last + _SECOND)
        if later is not None:
            yield later
            last = later.last
        day = _first_day(bucket, day + timedelta(days=days * run.count))


def _lengthened(zone_name: str, run: EdgeRun, end: datetime) -> EdgeRun:
    """`run`, of one edge, with those that follow it until `end` or the next change of clocks, that one not included."""
    until = min(end + run.step, run.first + run.step * (BUCKETS_MAX + 2))
    change = _next_change(zone_name, run.first, until) or until + _SECOND
    return EdgeRun(run.first, run.step, max(1, -((run.first - change) // run.step)))


def _first_day(bucket: TimeBucket, day: date) -> date:
    if bucket is TimeBucket.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if bucket is TimeBucket.MONTH else day


def _day_start(tz: ZoneInfo, day: date) -> datetime:
    """The first moment of a local day: midnight, or the change of clocks that skipped it."""
    midnight = datetime.combine(day, time.min, tz)
    moment = midnight.astimezone(UTC)
    if moment.astimezone(tz).replace(fold=0) == midnight:
        return moment
    return _change(tz, midnight.replace(fold=1).astimezone(UTC), moment)


def _of_the_clock(width: int, zone_name: str, start: datetime, end: datetime) -> Iterator[EdgeRun]:
    tz, moment = zone(zone_name), start.replace(microsecond=0) - timedelta(hours=4)
    while True:
        run = EdgeRun(_next_edge(width, tz, moment), width * _SECOND, 1)
        if _local_seconds(run.first, _offset(tz, run.first)) % width == 0:
            run = _lengthened(zone_name, run, end)
        yield run
        moment = run.last


def _next_edge(width: int, tz: ZoneInfo, moment: datetime) -> datetime:
    """The first moment after this one at which an hour, or another `width` of the wall clock, begins or changes."""
    offset = _offset(tz, moment)
    edge = moment + timedelta(seconds=width - _local_seconds(moment, offset) % width)
    if _offset(tz, edge) == offset:
        return edge
    change = _change(tz, moment, edge)
    local, local_before = _local_seconds(change, _offset(tz, change)), _local_seconds(change - _SECOND, offset)
    if local % width == 0 or local // width != local_before // width:
        return change
    return change + timedelta(seconds=width - local % width)


def _change(tz: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first moment in (before, after] with the offset of `after`, to the second."""
    offset = _offset(tz, after)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if _offset(tz, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _next_change(zone_name: str, after: datetime, until: datetime) -> datetime | None:
    """The first moment in (after, until] at which clocks change; None: there is none."""
    for year in range(after.year, until.year + 1):
        for change in _changes(zone_name, year):
            if change > after:
                return change if change <= until else None
    return None


@lru_cache(maxsize=20_000)
def _changes(zone_name: str, year: int) -> tuple[datetime, ...]:
    """The moments of one UTC year, the first of the next one included, at which clocks change."""
    tz, found = zone(zone_name), list[datetime]()
    if year == date.max.year:
        raise OverflowError
    before, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = _offset(tz, before)
    while before < end:
        after = min(before + _APART_AT_LEAST, end)
        if (then := _offset(tz, after)) != offset:
            found.append(_change(tz, before, after))
            offset = then
        before = after
    return tuple(found)


def _offset(tz: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(tz).utcoffset()
    assert offset is not None, "a zone has an offset at any time"
    return offset


def _local_seconds(moment: datetime, offset: timedelta) -> int:
    return (moment - _EPOCH + offset) // _SECOND
