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

from service.query.model.errors import BadInputError

BUCKETS_MAX = 10_000
_HOUR = 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


class BucketError(BadInputError):
    """the time buckets cannot be made"""


class TimeBucket(StrEnum):
    """Width of a bucket; weeks begin on Monday (ISO 8601)."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


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


def edges(bucket: TimeBucket, zone_name: str, start: datetime, end: datetime) -> list[datetime]:
    """Ascending UTC moments; the first is at or before `start`, the last at or after `end`, start < end.

    Bucket `i` is [edges[i], edges[i + 1]). Raises BucketError for more than BUCKETS_MAX buckets.
    """
    found: list[datetime] = []
    for edge in _walk(bucket, zone(zone_name), start):
        if edge <= start:
            found = [edge]
        elif edge > found[-1]:
            found.append(edge)
        if len(found) > BUCKETS_MAX + 1:
            raise BucketError(f"more than {BUCKETS_MAX} buckets; narrow `startedAt` or take a wider `bucket`")
        if edge >= end:
            break
    return found


def _walk(bucket: TimeBucket, tz: ZoneInfo, start: datetime) -> Iterator[datetime]:
    """Every edge from some time before `start` on, without end."""
    try:
        yield from _hours(tz, start) if bucket is TimeBucket.HOUR else _days(bucket, tz, start)
    except OverflowError:
        raise BucketError("the time range leaves the calendar; narrow `startedAt`") from None


def _days(bucket: TimeBucket, tz: ZoneInfo, start: datetime) -> Iterator[datetime]:
    # A day earlier, because a clock that is set back over midnight begins the same day twice.
    day = _first_day(bucket, start.astimezone(tz).date() - timedelta(days=1))
    while True:
        yield _day_start(tz, day)
        day = _first_day(bucket, day + timedelta(days={"DAY": 1, "WEEK": 7, "MONTH": 31}[bucket]))


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


def _hours(tz: ZoneInfo, start: datetime) -> Iterator[datetime]:
    moment = start.replace(microsecond=0) - timedelta(hours=4)
    while True:
        moment = _next_hour(tz, moment)
        yield moment


def _next_hour(tz: ZoneInfo, moment: datetime) -> datetime:
    """The first moment after this one at which the wall clock's hour begins or changes."""
    offset = _offset(tz, moment)
    edge = moment + timedelta(seconds=_HOUR - _local_seconds(moment, offset) % _HOUR)
    if _offset(tz, edge) == offset:
        return edge
    change = _change(tz, moment, edge)
    local, local_before = _local_seconds(change, _offset(tz, change)), _local_seconds(change - _SECOND, offset)
    if local % _HOUR == 0 or local // _HOUR != local_before // _HOUR:
        return change
    return change + timedelta(seconds=_HOUR - local % _HOUR)


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


def _offset(tz: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(tz).utcoffset()
    assert offset is not None, "a zone has an offset at any time"
    return offset


def _local_seconds(moment: datetime, offset: timedelta) -> int:
    return (moment - _EPOCH + offset) // _SECOND
