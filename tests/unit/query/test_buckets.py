"""Bucket edges: what the wall clocks of the world do to an hour, a day, a week and a month."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from service.query.buckets.time_buckets import BucketError, TimeBucket, edges, zone


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def widths_h(bucket: TimeBucket, zone_name: str, start: str, end: str) -> list[float]:
    return [(b - a) / timedelta(hours=1) for a, b in pairwise(edges(bucket, zone_name, at(start), at(end)))]


@pytest.mark.parametrize(
    ("zone_name", "start", "end", "expected"),
    [
        ("UTC", "2026-03-28T00:00Z", "2026-03-30T00:00Z", [24, 24]),
        # the spring and the autumn day
        ("Europe/Vienna", "2026-03-28T23:00Z", "2026-03-29T22:00Z", [23]),
        ("Europe/Vienna", "2026-10-24T22:00Z", "2026-10-25T23:00Z", [25]),
        # half an hour of daylight saving
        ("Australia/Lord_Howe", "2026-04-04T13:00Z", "2026-04-05T13:30Z", [24.5]),
        ("Australia/Lord_Howe", "2026-10-03T13:30Z", "2026-10-04T13:00Z", [23.5]),
        # 30 December 2011 was skipped: two days, not three
        ("Pacific/Apia", "2011-12-29T10:00Z", "2011-12-31T10:00Z", [24, 24]),
        # midnight itself is skipped: the day begins with the change, at 01:00
        ("America/Sao_Paulo", "2018-11-04T03:00Z", "2018-11-05T02:00Z", [23]),
        # the change of 1919 skipped 23:30 to 00:30: the day began at 00:30, and the one before was half an hour short
        ("America/Toronto", "1919-03-30T05:00Z", "1919-04-01T04:00Z", [23.5, 23.5]),
    ],
)
def test_a_day_lasts_as_the_wall_clock_says(zone_name: str, start: str, end: str, expected: list[float]) -> None:
    """Days are cut at local midnights, whatever happens to the clock in between."""
    assert widths_h(TimeBucket.DAY, zone_name, start, end) == expected


@pytest.mark.parametrize(
    ("zone_name", "start", "end", "expected"),
    [
        ("Asia/Kolkata", "2026-11-22T18:30Z", "2026-11-22T20:30Z", [1, 1]),
        ("Asia/Kathmandu", "2026-11-22T18:15Z", "2026-11-22T20:15Z", [1, 1]),
        # hours are repeated or left out whole
        ("Europe/Vienna", "2026-10-25T00:00Z", "2026-10-25T02:00Z", [1, 1]),
        ("Europe/Vienna", "2026-03-29T00:00Z", "2026-03-29T02:00Z", [1, 1]),
        # 01:00 to 02:00 with half an hour twice; 02:30 to 03:00 alone
        ("Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:30Z", [1.5, 1]),
        ("Australia/Lord_Howe", "2026-10-03T14:30Z", "2026-10-03T17:00Z", [1, 0.5, 1]),
    ],
)
def test_an_hour_lasts_as_the_wall_clock_says(zone_name: str, start: str, end: str, expected: list[float]) -> None:
    """Hours are cut where the local hour begins or changes."""
    assert widths_h(TimeBucket.HOUR, zone_name, start, end) == expected


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """A range inside a week and a month is answered by the buckets that hold it."""
    inside = at("2026-11-22T10:00Z"), at("2026-11-22T11:00Z")
    assert list(edges(TimeBucket.WEEK, "UTC", *inside)) == [at("2026-11-16T00:00Z"), at("2026-11-23T00:00Z")]
    assert list(edges(TimeBucket.MONTH, "Asia/Tokyo", *inside)) == [at("2026-10-31T15:00Z"), at("2026-11-30T15:00Z")]
    assert list(edges(TimeBucket.MONTH, "UTC", at("2026-01-31T00:00Z"), at("2026-03-01T00:00Z"))) == [
        at("2026-01-01T00:00Z"),
        at("2026-02-01T00:00Z"),
        at("2026-03-01T00:00Z"),
    ]


def test_an_edge_belongs_to_the_bucket_that_it_begins() -> None:
    """Buckets are half-open: a range that ends on an edge does not open the next bucket."""
    assert list(edges(TimeBucket.DAY, "UTC", at("2026-11-22T00:00Z"), at("2026-11-23T00:00Z"))) == [
        at("2026-11-22T00:00Z"),
        at("2026-11-23T00:00Z"),
    ]


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "europe/vienna", "../../etc/passwd", "/etc/localtime", "UTC\0", "posixrules"]
)
def test_only_a_zone_of_the_database_is_taken(name: str) -> None:
    """A zone name is never a path, and never guessed."""
    with pytest.raises(BucketError, match="not an IANA time zone"):
        zone(name)


def test_too_many_buckets_are_refused() -> None:
    """At most 10,000 buckets, exactly."""
    start = at("2020-01-01T00:00Z")
    assert len(edges(TimeBucket.HOUR, "UTC", start, start + timedelta(hours=10_000))) == 10_001
    with pytest.raises(BucketError, match="more than 10000 buckets"):
        edges(TimeBucket.HOUR, "UTC", start, start + timedelta(hours=10_001))


def test_the_end_of_the_calendar_is_an_answer() -> None:
    """A range at the year 9999 is refused in words."""
    with pytest.raises(BucketError, match="leaves the calendar"):
        edges(TimeBucket.MONTH, "UTC", at("9999-12-01T00:00Z"), datetime.max.replace(tzinfo=UTC))
