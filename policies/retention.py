"""When what is kept must go: windows, partitions, key periods and the plan of a purge.

A window is a number of days of 24 hours, counted from the time that partitions are cut by (`started_at`,
`occurred_at`, `bucket_at`). Three moments follow from it:

    cutoff      now - window. Reads serve nothing older, to the microsecond.
    due         a partition's upper bound + window. All its rows are hidden by then; from here on a purge drops it.
    deadline    due + GRACE. A partition that is still there is overdue, which must never be.

A change of policy can make much due at once. Reads cut off by the new policy alone; what is destroyed by itself is only
what is due by every policy that still counts: the one in force, and each that was in force within the purge delay
(`Earlier`). Whoever names the plan's digest does without the earlier ones.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from policies.policy.model import DataClass, Policy, PseudonymPeriod, Store, Tier

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GRACE = timedelta(days=1)
"""What a purge may be late for before `overdue` and `fsck` say so."""

TIER_NOTICE = timedelta(hours=25)
"""How far ahead of now a move to another tier takes effect at the earliest.

A call may be reported up to 24 hours before it starts, under the tier that holds then. A move within that time would
give its retry another tier, and so another key: it would be stored and billed again. The hour more is for services
that have not heard of the move yet.
"""

# Stores with sealed or hashed columns: what a period key opens is in these and nowhere else.
KEYED_STORES = (Store.CALL, Store.CALL_ERROR)

PARTITION_CLASSES = {
    Store.CALL: DataClass.OPERATIONAL,
    Store.CALL_ERROR: DataClass.PERSONAL,
    Store.USAGE_QUARTER: DataClass.BILLING,
    Store.USAGE_DAY: DataClass.BILLING,
}
"""What a partition of each store counts as in a plan: rows hold several classes, and go as a whole."""


class Width(StrEnum):
    """How much time one partition holds, in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


# Longest window in days that a width serves: 400 daily partitions of three tiers cost 100 ms of planning a page,
# 58 weekly ones less than 1 ms. What stays is 46 to 58 partitions a tier and store, and 28 for seven years.
_WIDTHS = ((45, Width.DAY), (400, Width.WEEK), (1200, Width.MONTH))

# Days of the widest partition of each width, for promises.
_WIDEST_DAYS = {Width.DAY: 1, Width.WEEK: 7, Width.MONTH: 31, Width.QUARTER: 92}


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a store: rows of one tier with `start <= time < end`. Rows and bytes are estimates."""

    store: Store
    name: str
    tier: int
    start: datetime
    end: datetime
    rows_estimate: int = 0
    bytes: int = 0


class KeyPeriod(NamedTuple):
    """The period key of a tier and data class; `period` is a UTC day `2026-11-22` or month `2026-11`."""

    tier: int
    data_class: str
    period: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A policy that was in force before, and still keeps what it kept until the moment `until`."""

    policy: Policy
    until: datetime


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What one purge destroys, in a fixed order."""

    partitions: tuple[Partition, ...] = ()
    keys: tuple[KeyPeriod, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.partitions or self.keys)

    def canonical(self) -> bytes:
        """The plan as bytes: the same for the same destruction, whenever and by whomever it is planned.

        Sizes are not in it: they are estimates, and what dies is decided by bounds alone.
        """
        document = {
            "keys": [list(key) for key in sorted(self.keys)],
            "partitions": [
                [part.store.value, part.tier, part.start.isoformat(), part.end.isoformat(), part.name]
                for part in sorted(self.partitions, key=_order)
            ],
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=True).encode()

    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits of the canonical form."""
        return "sha256:" + sha256(self.canonical()).hexdigest()

    def part(self, *, data_class: DataClass | None = None, tier: int | None = None) -> "PurgePlan":
        """What of the plan is of one class, of one tier, or both."""
        return PurgePlan(
            tuple(
                part
                for part in self.partitions
                if tier in (None, part.tier) and data_class in (None, PARTITION_CLASSES[part.store])
            ),
            tuple(key for key in self.keys if tier in (None, key.tier) and data_class in (None, key.data_class)),
        )


def width(window_days: int) -> Width:
    """The width of partitions for a window: at most about sixty a tier at any time."""
    longest = [days for days, _ in _WIDTHS]
    index = bisect_left(longest, window_days)
    return _WIDTHS[index][1] if index < len(_WIDTHS) else Width.QUARTER


def bounds(width: Width, moment: datetime) -> tuple[datetime, datetime]:
    """Start and end (not included) of the one partition of this width that holds `moment`; UTC midnights.

    Weeks begin on Monday (ISO 8601), quarters in January, April, July and October.
    """
    day = moment.astimezone(UTC).date()
    match width:
        case Width.DAY:
            return _midnight(day), _midnight(day + timedelta(days=1))
        case Width.WEEK:
            monday = day - timedelta(days=day.weekday())
            return _midnight(monday), _midnight(monday + timedelta(days=7))
        case Width.MONTH:
            return _months(day.year, day.month, 1)
        case Width.QUARTER:
            return _months(day.year, (day.month - 1) // 3 * 3 + 1, 3)


def partition_bounds(policy: Policy, tier_number: int, store: Store, moment: datetime) -> tuple[datetime, datetime]:
    """Bounds of the partition that a row of this tier, store and time belongs to under the policy in force."""
    return bounds(width(_kept_days(policy, tier_number, store)), moment)


def cutoff(policy: Policy, tier_number: int, store: Store, now: datetime) -> datetime:
    """The oldest time that reads serve: rows with `time >= cutoff`.

    A tier that the policy does not name is served by the shortest window of all: on doubt less data. What was purged
    before a window became longer stays cut off: a report of that time would find nothing that it could be a duplicate
    of, and a sum over it would be too small.
    """
    tier = policy.tier_number(tier_number)
    if tier is None:
        return _before(now, min(other.store_days[store] for other in policy.tiers.values()))
    window = _before(now, tier.store_days[store])
    return max(window, tier.purged_until.get(store, window))


def after_purges(policy: Policy, purged_until: Mapping[tuple[int, Store], datetime]) -> Policy:
    """The same policy, knowing up to when the stores of each tier number have been purged."""
    tiers = {
        name: replace(
            tier, purged_until={store: end for (number, store), end in purged_until.items() if number == tier.number}
        )
        for name, tier in policy.tiers.items()
    }
    return replace(policy, tiers=MappingProxyType(tiers))


def readable_cutoff(policy: Policy, tier_number: int, data_class: DataClass, store: Store, now: datetime) -> datetime:
    """The oldest time whose hashed and sealed values of a class are still shown; the same rules as `cutoff`."""
    readable = _before(now, min([tier.readable(data_class, store) for tier in _tiers(policy, tier_number)]))
    return max(readable, cutoff(policy, tier_number, store, now))


def due_at(policy: Policy, partition: Partition, earlier: Iterable[Earlier] = ()) -> datetime:
    """The moment from which a purge drops the partition: when its last possible row leaves the window.

    A tier that the policy no longer names keeps for the longest window of all: hidden at once, destroyed late, and
    never kept for ever. An `earlier` policy keeps what it kept until it no longer counts.
    """
    due = _after(partition.end, _kept_days(policy, partition.tier, partition.store))
    return max((due, *(min(due_at(past.policy, partition), past.until) for past in earlier)))


def deadline(policy: Policy, partition: Partition, earlier: Iterable[Earlier] = ()) -> datetime:
    """The moment from which the partition is overdue."""
    return _after(due_at(policy, partition, earlier), GRACE.days)


def kept_at_most_days(policy: Policy, tier_number: int, store: Store) -> int:
    """Days after which the database holds no row of the store: window, one partition and grace."""
    days = _kept_days(policy, tier_number, store)
    return days + _WIDEST_DAYS[width(days)] + GRACE.days


def period_bounds(period: str) -> tuple[datetime, datetime]:
    """Start and end (not included) of a key period, `2026-11-22` or `2026-11`; ValueError for anything else."""
    is_day = len(period) == len("2026-11-22")
    first = date.fromisoformat(period if is_day else f"{period}-01")
    # fromisoformat also reads `2026-W47-7`: only the form that is written names a period.
    if first.isoformat()[: len(period)] != period or len(period) not in (7, 10):
        raise ValueError(f"`{period}` is neither a day such as `2026-11-22` nor a month such as `2026-11`")
    return bounds(Width.DAY if is_day else Width.MONTH, _midnight(first))


def key_due_at(policy: Policy, key: KeyPeriod, earlier: Iterable[Earlier] = ()) -> datetime:
    """The moment from which a purge destroys a period key: `readable_days` after the period's end.

    Never later than the drop of the last partition that holds anything of the period. While pseudonyms are by month,
    a key of a day only seals errors, and goes with those; a policy that moves from daily pseudonyms to monthly ones
    so ends the daily ones with their errors.
    """
    only_seals = len(key.period) == len("2026-11-22") and policy.pseudonym_period is PseudonymPeriod.MONTH
    stores = (Store.CALL_ERROR,) if only_seals else KEYED_STORES
    days = max(_readable_days(tier, key.data_class, store) for tier in _tiers(policy, key.tier) for store in stores)
    due = _after(period_bounds(key.period)[1], days)
    return max((due, *(min(key_due_at(past.policy, key), past.until) for past in earlier)))


def plan(
    policy: Policy,
    partitions: Iterable[Partition],
    keys: Iterable[KeyPeriod],
    now: datetime,
    earlier: Iterable[Earlier] = (),
) -> PurgePlan:
    """What a purge at `now` destroys: partitions and period keys that are due. Ask with the database's clock."""
    earlier = tuple(earlier)
    return PurgePlan(
        tuple(sorted((part for part in partitions if due_at(policy, part, earlier) <= now), key=_order)),
        tuple(sorted(KeyPeriod(*key) for key in keys if key_due_at(policy, KeyPeriod(*key), earlier) <= now)),
    )


def next_due_at(
    policy: Policy, partitions: Iterable[Partition], keys: Iterable[KeyPeriod], earlier: Iterable[Earlier] = ()
) -> datetime | None:
    """When the next of these is due; None when there are none."""
    earlier = tuple(earlier)
    moments = [due_at(policy, part, earlier) for part in partitions]
    moments += [key_due_at(policy, KeyPeriod(*key), earlier) for key in keys]
    return min(moments, default=None)


def tier_may_move_from(now: datetime) -> datetime:
    """The first UTC midnight at which an account can change its tier, `TIER_NOTICE` away or more."""
    return _midnight((now + TIER_NOTICE).astimezone(UTC).date() + timedelta(days=1))


def _order(part: Partition) -> tuple[str, int, datetime, str]:
    return part.store.value, part.tier, part.start, part.name


def _tiers(policy: Policy, number: int) -> Sequence[Tier]:
    tier = policy.tier_number(number)
    return (tier,) if tier is not None else tuple(policy.tiers.values())


def _kept_days(policy: Policy, tier_number: int, store: Store) -> int:
    return max(tier.store_days[store] for tier in _tiers(policy, tier_number))


def _readable_days(tier: Tier, data_class: str, store: Store) -> int:
    if data_class in list(DataClass):
        return tier.readable(DataClass(data_class), store)
    return min((tier.store_days[store], *tier.readable_days.values()))


def _before(moment: datetime, days: int) -> datetime:
    # Nothing is older than the epoch, and a window of ten thousand years must not overflow a date.
    return moment - timedelta(days=days) if days < (moment - EPOCH).days else EPOCH


def _after(moment: datetime, days: int) -> datetime:
    last = datetime.max.replace(tzinfo=UTC)
    return moment + timedelta(days=days) if days < (last - moment).days else last


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _months(year: int, month: int, count: int) -> tuple[datetime, datetime]:
    following = month - 1 + count
    start, end = date(year, month, 1), date(year + following // 12, following % 12 + 1, 1)
    return _midnight(start), _midnight(end)
