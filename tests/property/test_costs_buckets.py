"""Laws of time buckets, in every zone of the database."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from service.query.buckets.time_buckets import TimeBucket, _zone_names, edges, zone

zones = st.sampled_from(sorted(_zone_names()))
starts = st.timedeltas(timedelta(0), timedelta(days=50_000)).map(lambda since: datetime(1900, 1, 1, tzinfo=UTC) + since)
spans = st.timedeltas(timedelta(microseconds=1), timedelta(days=400))
shares = st.lists(st.floats(0, 0.999999), min_size=1, max_size=5)  # the end itself is not in a bucket
BY_DATE = {
    TimeBucket.DAY: lambda day: day,
    TimeBucket.WEEK: lambda day: day - timedelta(days=day.weekday()),
    TimeBucket.MONTH: lambda day: day.replace(day=1),
}


def label(bucket: TimeBucket, zone_name: str, moment: datetime) -> date:
    return BY_DATE[bucket](moment.astimezone(zone(zone_name)).date())


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(TimeBucket), zones, starts, spans)
def test_buckets_cover_the_range_and_no_more(
    bucket: TimeBucket, zone_name: str, start: datetime, span: timedelta
) -> None:
    """Edges ascend, the first bucket holds the start, and the last one the last moment before the end."""
    span = min(span, timedelta(days=20)) if bucket is TimeBucket.HOUR else span
    found = edges(bucket, zone_name, start, start + span)
    assert all(one < other for one, other in pairwise(found))
    assert found[0] <= start < found[1]
    assert found[-2] < start + span <= found[-1]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*BY_DATE]), zones, starts, spans, shares)
def test_a_moment_lies_in_the_bucket_of_its_wall_clock(
    bucket: TimeBucket, zone_name: str, start: datetime, span: timedelta, at: list[float]
) -> None:
    """All moments of a bucket have one local day, week or month, unless a clock was set back over midnight in it."""
    tz = zone(zone_name)
    for first, last in pairwise(edges(bucket, zone_name, start, start + span)):
        assert label(bucket, zone_name, last) > label(bucket, zone_name, first)
        for share in at:
            moment = first + (last - first) * share
            if label(bucket, zone_name, moment) != label(bucket, zone_name, first):
                assert label(bucket, zone_name, moment) < label(bucket, zone_name, first)
                assert moment.astimezone(tz).utcoffset() < first.astimezone(tz).utcoffset()


@settings(max_examples=400, deadline=None)
@given(zones, starts, shares)
def test_an_hour_is_one_hour_of_the_wall_clock(zone_name: str, start: datetime, at: list[float]) -> None:
    """All moments of a bucket show the same hour, and the next bucket shows another or begins on the hour."""
    tz = zone(zone_name)

    def hour(moment: datetime) -> datetime:
        return moment.astimezone(tz).replace(minute=0, second=0, microsecond=0, tzinfo=None)

    for first, last in pairwise(edges(TimeBucket.HOUR, zone_name, start, start + timedelta(days=10))):
        begins = last.astimezone(tz)
        assert hour(last) != hour(first) or (begins.minute, begins.second) == (0, 0)
        assert all(hour(first + (last - first) * share) == hour(first) for share in at)
