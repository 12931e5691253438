"""Which store answers which part of a range."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from policies.policy.document import load_preset
from policies.policy.model import Store
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.errors import OutOfRetentionError
from service.query.model.parameters import Params
from service.query.model.predicate import TimeRange
from service.query.usage.plan import SEGMENTS_MAX, Plan, RetentionWindows, TierPeriod, UsageSegment, plan_usage
from service.query.usage.rollup_tables import BY_KEY, ranges

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = load_preset("default")


def windows(*spans: TierPeriod) -> RetentionWindows:
    return RetentionWindows(POLICY, spans, NOW)


def stores(plan: Plan) -> list[str]:
    return [piece.store.value for piece in plan.segments]


def assert_adjoining(plan: Plan) -> None:
    assert plan.segments[0].start == plan.start
    assert plan.segments[-1].end == plan.end
    assert all(one.end == other.start and one.start < one.end for one, other in pairwise(plan.segments))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-01T00:00Z", "2026-11-20T00:00Z", ["usage_day"]),
        ("2026-11-01T00:15Z", "2026-11-01T00:30Z", ["usage_quarter"]),
        ("2026-11-01T12:00Z", "2026-11-02T12:00Z", ["usage_quarter"]),
        ("2026-11-01T00:01Z", "2026-11-01T00:29Z", ["call"]),
        ("2026-11-01T00:01Z", "2026-11-01T00:30Z", ["call", "usage_quarter"]),
        ("2026-11-01T12:01Z", "2026-11-09T12:01Z", ["call", "usage_quarter", "usage_day", "usage_quarter", "call"]),
    ],
)
def test_a_range_is_cut_from_the_coarsest_in(start: str, end: str, expected: list[str]) -> None:
    """Whole UTC days, then whole quarter hours, then calls; the pieces adjoin."""
    wanted = TimeRange(datetime.fromisoformat(start), datetime.fromisoformat(end))
    plan = plan_usage(wanted, windows(), rollups=True)
    assert stores(plan) == expected
    assert_adjoining(plan)
    assert stores(plan_usage(wanted, windows(), rollups=False)) == ["call"]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Europe/Vienna", "Australia/Lord_Howe", "America/Caracas"])
@pytest.mark.parametrize("bucket", TimeBucket)
def test_no_bucket_is_cut_through_by_a_row(bucket: TimeBucket, zone: str) -> None:
    """However many buckets there are, the pieces stay few, and the edges inside whole days are edges of days."""
    days = {TimeBucket.MINUTE: 6, TimeBucket.QUARTER_HOUR: 90}.get(bucket, 300)
    plan = plan_usage(TimeRange(NOW - days * DAY, NOW), windows(), rollups=True, bucket=bucket, zone=zone)
    assert len(plan.segments) <= SEGMENTS_MAX
    assert_adjoining(plan)
    assert plan.edges is not None
    assert plan.edges[0] <= plan.start < plan.edges[1]
    assert plan.edges[-2] < plan.end <= plan.edges[-1]
    grains = {Store.USAGE_DAY: DAY, Store.USAGE_QUARTER: timedelta(minutes=15), Store.CALL: timedelta(microseconds=1)}
    for piece in plan.segments:
        cuts = [piece.start, piece.end, *(edge for edge in plan.edges if piece.start < edge < piece.end)]
        assert all((cut - EPOCH) % grains[piece.store] == timedelta(0) for cut in cuts)


def shortest(work: Callable[[], object]) -> float:
    """The least of three times of the processor, in seconds: a garbage collection falls into one of them at most."""
    took = []
    for _ in range(3):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)


@pytest.mark.parametrize(
    ("bucket", "stores_read"), [(TimeBucket.QUARTER_HOUR, ["usage_quarter", "call"]), (TimeBucket.MINUTE, ["call"])]
)
def test_quarters_of_hours_are_sums_and_minutes_are_calls(bucket: TimeBucket, stores_read: list[str]) -> None:
    """Quarters of hours are read from the sums of quarters, where the zone's are; minutes from single calls alone."""
    start = NOW.replace(hour=3, minute=15, second=0, microsecond=0) - DAY
    wanted = TimeRange(start, start + timedelta(hours=7, minutes=20))
    assert stores(plan_usage(wanted, windows(), rollups=True, bucket=bucket, zone="Asia/Kathmandu")) == stores_read


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize("bucket", [TimeBucket.HOUR, TimeBucket.DAY])
def test_a_plan_takes_the_time_of_the_changes_of_clocks(bucket: TimeBucket, zone: str) -> None:
    """Thousands of buckets are planned, and cut the sums, as a few runs of them: nobody's hours hold the event loop."""

    def planned() -> Plan:
        plan = plan_usage(TimeRange(None, None), windows(), rollups=True, bucket=bucket, zone=zone)
        for segment in plan.segments:
            assert plan.edges is not None
            list(ranges(BY_KEY, segment, segment.start, plan.edges, Params()))
        return plan

    plan = planned()
    # 100 ms when each bucket is looked at, 0.5 ms when each run is.
    assert shortest(planned) < 0.02
    assert plan.edges is not None
    assert len(plan.edges) > 400
    assert len(plan.edges.runs) < 10


@pytest.mark.parametrize("bucket", TimeBucket)
def test_a_range_that_nothing_holds_is_refused_before_it_is_cut(bucket: TimeBucket) -> None:
    """A start in the year 1700 makes no buckets: it says from when on there is something."""

    def refused() -> None:
        with pytest.raises(OutOfRetentionError, match="begin `startedAt` there"):
            plan_usage(TimeRange(datetime(1700, 1, 1, tzinfo=UTC), NOW), windows(), rollups=True, bucket=bucket)

    assert shortest(refused) < 0.02


def test_a_tier_is_read_only_where_an_account_had_it() -> None:
    """A tier that begins later has no branch before, and is not asked for what its window hides."""
    moved = datetime(2026, 11, 10, tzinfo=UTC)
    held = windows(TierPeriod(1, EPOCH, moved), TierPeriod(99, moved, None))
    assert list(held.tiers(UsageSegment(Store.CALL, moved - DAY, moved))) == [(1, moved - DAY)]
    assert list(held.tiers(UsageSegment(Store.CALL, moved - DAY, moved + DAY))) == [(1, moved - DAY), (99, moved - DAY)]
    assert list(held.tiers(UsageSegment(Store.CALL, moved, moved + DAY))) == [(99, moved)]


def test_a_tier_that_the_policy_does_not_name_is_served_for_the_shortest_window() -> None:
    """On doubt less data, and said: what such an account had longer ago is refused, not left out."""
    held = RetentionWindows(load_preset("default"), [TierPeriod(99, EPOCH, None)], NOW)
    assert held.complete_from(Store.CALL) == NOW - 400 * DAY
    with pytest.raises(OutOfRetentionError):
        plan_usage(TimeRange(NOW - 401 * DAY, NOW), held, rollups=False)
