"""Windows, widths and periods by example."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from policies.policy.document import load_preset
from policies.policy.model import PseudonymPeriod, Store
from policies.retention import (
    EPOCH,
    KeyPeriod,
    Partition,
    PurgePlan,
    Width,
    bounds,
    cutoff,
    due_at,
    kept_at_most_days,
    key_due_at,
    next_due_at,
    period_bounds,
    width,
)

POLICY = load_preset("default")  # call 400 days, call_error 30, usage_day 2557; personal readable for 30
NOW = datetime(2026, 11, 22, 10, 30, 0, 5, tzinfo=UTC)


def utc(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (1, Width.DAY),
        (45, Width.DAY),  # the last daily one
        (46, Width.WEEK),
        (400, Width.WEEK),  # calls by default
        (401, Width.MONTH),
        (1200, Width.MONTH),
        (1201, Width.QUARTER),
        (2557, Width.QUARTER),  # seven years of days
        (10**6, Width.QUARTER),
    ],
)
def test_width_follows_the_window(days: int, expected: Width) -> None:
    """The longer the window, the wider the partitions."""
    assert width(days) is expected


@pytest.mark.parametrize(
    ("wide", "moment", "start", "end"),
    [
        (Width.DAY, NOW, utc(2026, 11, 22), utc(2026, 11, 23)),
        (Width.WEEK, NOW, utc(2026, 11, 16), utc(2026, 11, 23)),  # a Sunday belongs to the week before it
        (Width.WEEK, utc(2026, 11, 23), utc(2026, 11, 23), utc(2026, 11, 30)),  # a Monday begins one
        (Width.WEEK, utc(2027, 1, 1), utc(2026, 12, 28), utc(2027, 1, 4)),  # over the year's end
        (Width.MONTH, utc(2028, 2, 29), utc(2028, 2, 1), utc(2028, 3, 1)),  # a leap day
        (Width.MONTH, utc(2026, 12, 31), utc(2026, 12, 1), utc(2027, 1, 1)),
        (Width.QUARTER, NOW, utc(2026, 10, 1), utc(2027, 1, 1)),
        (Width.QUARTER, utc(2026, 6, 30), utc(2026, 4, 1), utc(2026, 7, 1)),
    ],
)
def test_bounds(wide: Width, moment: datetime, start: datetime, end: datetime) -> None:
    """Partitions begin at UTC midnights of calendar days, ISO weeks, months and quarters."""
    assert bounds(wide, moment) == (start, end)


def test_a_cutoff_is_exact() -> None:
    """The cut-off is the window before now, to the microsecond."""
    assert cutoff(POLICY, 1, Store.CALL_ERROR, NOW) == datetime(2026, 10, 23, 10, 30, 0, 5, tzinfo=UTC)


def test_a_window_longer_than_time_reaches_the_epoch() -> None:
    """A window of a million days neither overflows nor hides anything, and nothing is ever due under it."""
    tier = replace(POLICY.tiers["standard"], store_days=dict.fromkeys(Store, 10**6))
    policy = replace(POLICY, tiers={"standard": tier})
    part = Partition(Store.CALL, "p", 1, utc(9998, 1, 1), utc(9998, 4, 1))
    assert cutoff(policy, 1, Store.CALL, NOW) == EPOCH
    assert due_at(policy, replace(part, end=EPOCH)).year == 4707
    assert due_at(policy, part).year == 9999


def test_the_promise_counts_one_partition_and_a_day() -> None:
    """Calls are kept 400 days, up to one week more for their partition, and a day of grace."""
    assert kept_at_most_days(POLICY, 1, Store.CALL) == 400 + 7 + 1
    assert kept_at_most_days(POLICY, 1, Store.CALL_ERROR) == 30 + 1 + 1
    assert kept_at_most_days(POLICY, 1, Store.USAGE_DAY) == 2557 + 92 + 1


@pytest.mark.parametrize(
    ("pseudonyms", "period", "due"),
    [
        (PseudonymPeriod.DAY, "2026-11-01", utc(2026, 12, 2)),  # the day ends on the 2nd, 30 days on
        (PseudonymPeriod.MONTH, "2026-11", utc(2026, 12, 31)),  # the month ends on December 1st
        (PseudonymPeriod.MONTH, "2026-11-01", utc(2026, 12, 2)),  # seals errors only
        (PseudonymPeriod.DAY, "2028-02", utc(2028, 3, 31)),
    ],
)
def test_a_key_dies_readable_days_after_its_period(pseudonyms: PseudonymPeriod, period: str, due: datetime) -> None:
    """Personal values are readable for 30 days counted from the end of their period."""
    policy = replace(POLICY, pseudonym_period=pseudonyms)
    assert key_due_at(policy, KeyPeriod(1, "personal", period)) == due


def test_a_sealing_key_dies_with_its_rows_when_those_go_first() -> None:
    """With 300 readable days and errors kept for 30, a day's sealing key ends after 30."""
    tier = replace(POLICY.tiers["standard"], readable_days={"personal": 300})
    policy = replace(POLICY, tiers={"standard": tier}, pseudonym_period=PseudonymPeriod.MONTH)
    assert key_due_at(policy, KeyPeriod(1, "personal", "2026-11-01")) == utc(2026, 12, 2)
    assert key_due_at(policy, KeyPeriod(1, "personal", "2026-11")) == utc(2027, 9, 27)


def test_keys_of_a_class_that_nobody_knows_die_soonest() -> None:
    """A period key of an unknown class is destroyed by the shortest of the tier's readable windows."""
    assert key_due_at(POLICY, KeyPeriod(1, "mystery", "2026-11-01")) == utc(2026, 12, 2)


@pytest.mark.parametrize(
    "label", ["", "2026", "2026-13", "2026-1", "2026-W47-7", "20261122", "2026-11-31", "2026-11-1"]
)
def test_labels_that_name_no_period(label: str) -> None:
    """Only the two forms that are written are read."""
    with pytest.raises(ValueError, match=r".+"):
        period_bounds(label)


def test_an_empty_plan_is_false_and_has_a_digest() -> None:
    """Nothing to do is a plan too."""
    assert not PurgePlan()
    assert PurgePlan().canonical() == b'{"keys":[],"partitions":[]}'
    assert PurgePlan().digest().startswith("sha256:")
    assert len(PurgePlan().digest()) == 71


def test_the_next_due_moment_is_the_earliest() -> None:
    """nextPurgeAt is when the first partition or key is due; None with nothing to purge."""
    part = Partition(Store.CALL_ERROR, "p", 1, utc(2026, 11, 1), utc(2026, 11, 2))
    assert next_due_at(POLICY, [part], [KeyPeriod(1, "personal", "2026-10-31")]) == utc(2026, 12, 1)
    assert next_due_at(POLICY, [], []) is None
