"""Laws of retention: time is tiled, nothing dies early, and a plan's digest says what dies and nothing else."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.policy.document import load_preset
from policies.policy.model import DataClass, Policy, PseudonymPeriod, Store, Tier
from policies.retention import (
    EPOCH,
    GRACE,
    KeyPeriod,
    Partition,
    Width,
    bounds,
    cutoff,
    deadline,
    due_at,
    kept_at_most_days,
    key_due_at,
    partition_bounds,
    period_bounds,
    plan,
    readable_cutoff,
    width,
)

DEFAULT = load_preset("default")
MICROSECOND = timedelta(microseconds=1)

zones = st.timezones() | st.just(UTC)
moments = st.integers(86_400 * 10**6, 2 * 10**17).map(lambda us: EPOCH + timedelta(microseconds=us))
days = st.integers(1, 5000)


@st.composite
def tiers(draw: st.DrawFn, number: int) -> Tier:
    windows = {store: draw(days) for store in Store}
    readable = {DataClass.PERSONAL: draw(days)} if draw(st.booleans()) else {}
    return Tier(f"t{number}", number, MappingProxyType(windows), MappingProxyType(readable))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    several = [draw(tiers(number)) for number in range(1, draw(st.integers(1, 3)) + 1)]
    period = draw(st.sampled_from(PseudonymPeriod))
    return replace(DEFAULT, tiers={tier.name: tier for tier in several}, pseudonym_period=period)


@st.composite
def partitions_of(draw: st.DrawFn, policy: Policy) -> Partition:
    tier, store = draw(st.sampled_from([tier.number for tier in policy.tiers.values()])), draw(st.sampled_from(Store))
    start, end = partition_bounds(policy, tier, store, draw(moments))
    return Partition(store, f"{store}_t{tier}_{start:%Y%m%d}", tier, start, end)


@st.composite
def keys(draw: st.DrawFn) -> KeyPeriod:
    day = draw(st.dates(date(1970, 1, 2), date(9000, 1, 1)))
    return KeyPeriod(draw(st.integers(1, 4)), "personal", day.isoformat()[: draw(st.sampled_from((7, 10)))])


@given(st.sampled_from(Width), moments, zones)
def test_every_moment_has_one_partition(width: Width, moment: datetime, zone) -> None:
    """A moment lies in the partition that is named for it, in whatever zone it is written."""
    start, end = bounds(width, moment.astimezone(zone))
    assert start <= moment < end
    assert (start, end) == bounds(width, moment)


@given(st.sampled_from(Width), moments)
def test_partitions_tile(width: Width, moment: datetime) -> None:
    """A partition ends where the next begins, and every moment of it names the same one."""
    start, end = bounds(width, moment)
    assert bounds(width, start) == bounds(width, end - MICROSECOND) == (start, end)
    assert bounds(width, end)[0] == end
    assert bounds(width, start - MICROSECOND)[1] == start


@given(st.integers(1, 3650))
def test_partitions_are_few(window_days: int) -> None:
    """For any window up to ten years a tier has at most 60 partitions of a store at any time."""
    part = bounds(width(window_days), datetime(2026, 2, 1, tzinfo=UTC))
    assert window_days / (part[1] - part[0]).days + 1 <= 60


@given(st.data(), policies())
def test_nothing_is_planned_before_its_window(data: st.DataObject, policy: Policy) -> None:
    """Whatever the last row of a planned partition is, reads have stopped serving it; and it is due at that moment."""
    part = data.draw(partitions_of(policy))
    now = due_at(policy, part)
    if now.year < 9999:
        assert plan(policy, [part], [], now).partitions == (part,)
        assert part.end - MICROSECOND < cutoff(policy, part.tier, part.store, now)
    assert plan(policy, [part], [], now - MICROSECOND).partitions == ()
    assert part.end - MICROSECOND >= cutoff(policy, part.tier, part.store, now - MICROSECOND)


@given(st.data(), policies())
def test_a_promise_is_kept(data: st.DataObject, policy: Policy) -> None:
    """A row is never older than keptAtMostDays while its partition is within its deadline."""
    part = data.draw(partitions_of(policy))
    oldest_age = deadline(policy, part) - part.start
    assert oldest_age <= timedelta(days=kept_at_most_days(policy, part.tier, part.store))
    assert deadline(policy, part) - due_at(policy, part) == GRACE


@given(policies(), keys(), moments)
def test_a_key_lives_as_long_as_its_values_are_shown_and_no_longer_than_their_rows(
    policy: Policy, key: KeyPeriod, now: datetime
) -> None:
    """At a key's end no value of its last moment is shown any more, and no partition of its period outlives it."""
    end, due = period_bounds(key.period)[1], key_due_at(policy, key)
    last = end - MICROSECOND
    stores = (Store.CALL, Store.CALL_ERROR) if len(key.period) == 7 else (Store.CALL_ERROR,)
    tier = policy.tier_number(key.tier)
    for store in stores:
        assert last < readable_cutoff(policy, key.tier, DataClass.PERSONAL, store, due)
    if tier is not None:
        rows = [Partition(store, "p", key.tier, *partition_bounds(policy, key.tier, store, last)) for store in Store]
        assert due <= max(due_at(policy, part) for part in rows if part.store in (Store.CALL, Store.CALL_ERROR))
    assert (key in plan(policy, [], [key], now).keys) == (due <= now)


@given(st.data(), policies(), moments, st.randoms())
def test_the_digest_is_of_what_dies(
    data: st.DataObject, policy: Policy, now: datetime, randomness: random.Random
) -> None:
    """Order, sizes and what stays do not change a plan's digest; one partition or key more does."""
    parts = data.draw(st.lists(partitions_of(policy), max_size=6, unique_by=lambda part: part.name))
    periods = data.draw(st.lists(keys(), max_size=6, unique=True))
    planned = plan(policy, parts, periods, now)
    shuffled = [replace(part, rows_estimate=9, bytes=9) for part in parts]
    randomness.shuffle(shuffled)
    randomness.shuffle(periods)

    assert plan(policy, shuffled, periods, now).digest() == planned.digest()
    assert plan(policy, planned.partitions, planned.keys, now) == planned
    for part in planned.partitions:
        others = [other for other in parts if other != part]
        assert plan(policy, others, periods, now).digest() != planned.digest()
    for key in planned.keys:
        others = [other for other in periods if other != key]
        assert plan(policy, parts, others, now).digest() != planned.digest()


@given(policies(), moments, moments)
def test_time_only_adds_to_a_plan(policy: Policy, one: datetime, other: datetime) -> None:
    """What is due stays due: a later plan of the same things holds the earlier one."""
    parts = [
        Partition(store, f"{store}_{tier.number}", tier.number, *partition_bounds(policy, tier.number, store, one))
        for tier in policy.tiers.values()
        for store in Store
    ]
    earlier, later = sorted((one, other))
    assert set(plan(policy, parts, [], earlier).partitions) <= set(plan(policy, parts, [], later).partitions)


@given(st.text(max_size=12))
def test_only_days_and_months_name_a_period(text: str) -> None:
    """A label is either refused or is exactly the day or month that it begins with."""
    try:
        start, end = period_bounds(text)
    except ValueError:
        return
    assert start.isoformat().startswith(text)
    assert end - start in [timedelta(days=number) for number in (1, 28, 29, 30, 31)]


@pytest.mark.parametrize("number", [0, 99, -1])
def test_an_unknown_tier_is_hidden_early_and_destroyed_late(number: int) -> None:
    """Rows of a tier that the policy lost are served by the shortest window and purged by the longest."""
    short = Tier("short", 1, dict.fromkeys(Store, 10), {DataClass.PERSONAL: 5})
    long = Tier("long", 2, dict.fromkeys(Store, 100), {DataClass.PERSONAL: 50})
    policy = replace(DEFAULT, tiers={"short": short, "long": long})
    now = datetime(2026, 11, 22, tzinfo=UTC)
    part = Partition(Store.CALL, "p", number, now - timedelta(days=51), now - timedelta(days=50))

    assert cutoff(policy, number, Store.CALL, now) == now - timedelta(days=10)
    assert readable_cutoff(policy, number, DataClass.PERSONAL, Store.CALL, now) == now - timedelta(days=5)
    assert due_at(policy, part) == part.end + timedelta(days=100)
    assert key_due_at(policy, KeyPeriod(number, "personal", "2026-11-01")) == datetime(2026, 12, 22, tzinfo=UTC)
