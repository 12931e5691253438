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
LONGEST = {
    TimeBucket.MINUTE: timedelta(days=6),
    TimeBucket.QUARTER_HOUR: timedelta(days=20),
    TimeBucket.HOUR: timedelta(days=20),
}
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
    span = min(span, LONGEST.get(bucket, span))
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


WIDTHS_MIN = {TimeBucket.MINUTE: 1, TimeBucket.QUARTER_HOUR: 15, TimeBucket.HOUR: 60}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*WIDTHS_MIN]), zones, starts, shares)
def test_an_hour_is_one_hour_of_the_wall_clock(
    bucket: TimeBucket, zone_name: str, start: datetime, at: list[float]
) -> None:
    """All moments of a bucket show the same hour, quarter of an hour or minute, and the next bucket shows another or
    begins on it.
    """
    tz, width = zone(zone_name), WIDTHS_MIN[bucket]

    def shown(moment: datetime) -> datetime:
        local = moment.astimezone(tz)
        return local.replace(minute=local.minute // width * width, second=0, microsecond=0, tzinfo=None)

    for first, last in pairwise(edges(bucket, zone_name, start, start + timedelta(hours=4 * width))):
        begins = last.astimezone(tz)
        assert shown(last) != shown(first) or (begins.minute % width, begins.second) == (0, 0)
        assert all(shown(first + (last - first) * share) == shown(first) for share in at)
