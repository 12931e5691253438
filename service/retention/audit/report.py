"""The retention report: what is kept, for how long, and whether anything older is still stored.

It is asked for often, so nothing is scanned where an index or the catalogue has the answer: the oldest row is looked
for in the oldest partition alone, account by account. Counts are exact, and count only rows that are past their window.
A partition whose detach is pending, or that is detached and not dropped, is counted in its own table, because its store
does not show it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from policies.policy.fields import SEALED
from policies.policy.model import Action, DataClass, Policy, Store, Window
from policies.retention import (
    GRACE,
    Earlier,
    KeyPeriod,
    Partition,
    cutoff,
    deadline,
    kept_at_most_days,
    key_due_at,
    next_due_at,
    period_bounds,
    readable_cutoff,
)
from service.keyring import KeyringUnavailableError, PeriodKeyName
from service.retention.context import EarlierPolicyError, RetentionContext
from service.retention.lost_keys import given_up_keys
from service.retention.purge.cold_rows import ColdSurvey
from service.retention.purge.detached import (
    TIMES,
    Detached,
    DetachedRows,
    descriptions,
    detached_partitions,
    detached_rows,
    detached_sums,
)
from service.retention.purge.oldest_row import OLDEST
from service.storage.connection import Connection
from service.storage.database import Database
from service.storage.partitions import catalogue_of


def _count(store: Store) -> str:
    """A statement that counts the rows of one store and tier in a span of time."""
    time = TIMES[store]
    return f"""
        SELECT count(*) FROM {store.value}
        WHERE tier = $1 AND {time} >= $2 AND {time} < $3 AND ($4::integer[] IS NULL OR account_id = ANY ($4))
    """  # noqa: S608


_COUNT: Final = {store: _count(store) for store in Store}
_HELD: Final = {
    Store.CALL: """
        SELECT count(DISTINCT (copy.account_id, copy.id)) FROM call_held AS copy JOIN hold ON hold.id = copy.hold_id
        WHERE copy.tier = $1 AND hold.classes ? $2 AND ($3::integer[] IS NULL OR copy.account_id = ANY ($3))
    """,
    Store.CALL_ERROR: """
        SELECT count(DISTINCT (copy.account_id, copy.id))
        FROM call_error_held AS copy JOIN hold ON hold.id = copy.hold_id
        WHERE copy.tier = $1 AND hold.classes ? $2 AND ($3::integer[] IS NULL OR copy.account_id = ANY ($3))
    """,
}
_ESCROWED: Final = """
    SELECT count(*) FROM call_error_held
    WHERE tier = $1 AND record_key IS NOT NULL AND ($2::integer[] IS NULL OR account_id = ANY ($2))
"""
_ANY_SEALED: Final = """
    SELECT EXISTS (
        SELECT 1 FROM call_error WHERE tier = $1 AND occurred_at >= $2 AND occurred_at < $3 AND sealed IS NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class ClassKeys:
    """The period keys of a class and tier. `lost`: of those that something is sealed with; `held`: escrowed record
    keys.
    """

    live: int = 0
    destroyed: int = 0
    lost: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class StoreState:
    """One store of one tier as it is now. `oldest_served`: the oldest row within its window."""

    oldest: datetime | None
    oldest_served: datetime | None
    overdue: int
    hidden: int
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClassState:
    """One class in one store of one tier. `unreadable_days`: after these no copy can be opened, backups included."""

    window: Window
    kept_at_most_days: int
    unreadable_days: int | None
    state: StoreState
    held: int
    keys: ClassKeys


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """The report, as of one time of the database's clock.

    `detached`: partitions outside their store, in words. `keys_known`: the keyring answered; without it the counts of
    keys are zeros without meaning.
    """

    as_of: datetime
    classes: tuple[ClassState, ...]
    next_purge_at: datetime | None
    missing: tuple[str, ...]
    detached: tuple[str, ...] = ()
    keys_known: bool = True


async def report(
    context: RetentionContext, accounts: Sequence[int] | None = None, *, connection: Connection | None = None
) -> RetentionReport:
    """The state of everything that is kept, of these accounts (None: all), as `connection` sees it (None: the owner).

    Counts and times are of the accounts alone; keys and purges are of all accounts together.
    """
    if connection is None:
        async with context.owner.acquire() as own:
            return await report(context, accounts, connection=own)
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    policy = context.policy()
    catalogue = await catalogue_of(connection)
    parts = catalogue.partitions
    outside = await detached_partitions(context, catalogue)
    missing = list(context.database.missing_protections)
    try:
        earlier: tuple[Earlier, ...] = await context.earlier(now, connection)
    except EarlierPolicyError as error:
        earlier = ()
        missing.append(str(error))
    keys_known = True
    try:
        keys = await _KeyringKeys.read(context)
    except KeyringUnavailableError as error:
        keys_known = False
        keys = _KeyringKeys(context, (), {}, frozenset())
        missing.append(f"the keyring is away, and its keys are not counted: {error}")
    async with connection.transaction(readonly=True):
        cold = await ColdSurvey.read(context, connection, accounts)
        survey = _Survey(connection, context.database, policy, now, earlier, cold)
        classes = await survey.classes(parts, outside, keys)
    upcoming = next_due_at(policy, parts, keys.periods, earlier)
    upcoming = upcoming and max(upcoming, now)
    detached = (*descriptions(outside), *await detached_sums(context))
    return RetentionReport(now, classes, upcoming, tuple(missing), detached, keys_known)


class _Survey:
    """Reads the state of each store once."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        policy: Policy,
        now: datetime,
        earlier: Sequence[Earlier],
        cold: ColdSurvey,
    ) -> None:
        self._connection = connection
        self._cold = cold
        self._owner = database.owner
        self._oldest_of = OLDEST[database.engine.probes_by_account]
        self._policy = policy
        self._now = now
        self._earlier = earlier
        self._accounts = cold.accounts

    async def classes(
        self, parts: Iterable[Partition], outside: Sequence[Detached], keys: "_KeyringKeys"
    ) -> tuple[ClassState, ...]:
        """The state of every window of the policy, in its order."""
        hidden = {one.partition.name for one in outside}
        parts = [part for part in parts if part.name not in hidden]
        by_group = {group: list(some) for group, some in groupby(sorted(parts, key=_order), key=_store_and_tier)}
        states = {}
        found = []
        for window in self._policy.windows():
            number = self._policy.tiers[window.tier].number
            group = (window.store, number)
            if group not in states:
                detached = [one.partition for one in outside if _store_and_tier(one.partition) == group]
                states[group] = await self._state(window.store, number, by_group.get(group, []), detached)
            counts = await keys.counts(self._connection, window, number, by_group.get(group, []), self._accounts)
            found.append(
                ClassState(
                    window,
                    kept_days(self._policy, window),
                    _unreadable_days(self._policy, window, keys.backup_days),
                    _with_keys(
                        await self._served(states[group], window, number, by_group.get(group, [])),
                        keys.next_due(window, number, self._policy, self._earlier),
                    ),
                    await self._held(window, number),
                    counts,
                )
            )
        return tuple(found)

    async def _state(
        self, store: Store, tier: int, parts: Sequence[Partition], outside: Sequence[Partition]
    ) -> StoreState:
        cut = cutoff(self._policy, tier, store, self._now)
        late = {part.name for part in (*parts, *outside) if deadline(self._policy, part, self._earlier) <= self._now}
        # As the owner: the store's policies do not apply to a detached table, and no other role may read it.
        detached = {}
        for part in outside:
            async with self._owner.acquire() as connection:
                detached[part] = await detached_rows(connection, part, self._accounts)
            detached[part] = await self._cold.beside(detached[part], part)
        overdue = [await self._count(store, tier, part.start, part.end) for part in parts if part.name in late]
        past = [part for part in parts if part.start < cut]
        hidden = [await self._count(store, tier, part.start, min(part.end, cut)) for part in past]
        return StoreState(
            _earliest(await self._oldest(store, tier, parts), detached.values()),
            await self._oldest(store, tier, parts, since=cut),
            sum(overdue) + sum(found.rows for part, found in detached.items() if part.name in late),
            sum(hidden) + sum(found.rows for found in detached.values()),
            next_due_at(self._policy, (*parts, *outside), (), self._earlier),
        )

    async def _served(self, state: StoreState, window: Window, tier: int, parts: Sequence[Partition]) -> StoreState:
        """The same state, with the oldest row whose values of this class are served: they may end before the row."""
        cut = readable_cutoff(self._policy, tier, window.data_class, window.store, self._now)
        if state.oldest_served is None or state.oldest_served >= cut:
            return state
        return replace(state, oldest_served=await self._oldest(window.store, tier, parts, since=cut))

    async def _oldest(
        self, store: Store, tier: int, parts: Sequence[Partition], since: datetime | None = None
    ) -> datetime | None:
        for part in parts:
            start = part.start if since is None else max(part.start, since)
            if start < part.end:
                moment = await self._connection.fetchval(self._oldest_of[store], tier, start, part.end, self._accounts)
                in_file = (await self._cold.rows(store, tier, start, part.end)).oldest
                if moment is not None or in_file is not None:
                    return min(one for one in (moment, in_file) if one is not None)
        return None

    async def _count(self, store: Store, tier: int, start: datetime, end: datetime) -> int:
        stored: int = await self._connection.fetchval(_COUNT[store], tier, start, end, self._accounts)
        return stored + (await self._cold.rows(store, tier, start, end)).rows

    async def _held(self, window: Window, tier: int) -> int:
        statement = _HELD.get(window.store)
        if statement is None:
            return 0
        return await self._connection.fetchval(statement, tier, window.data_class.value, self._accounts)


@dataclass(frozen=True, slots=True)
class _KeyringKeys:
    """The keyring's period keys as they are now."""

    context: RetentionContext
    periods: Sequence[KeyPeriod]
    destroyed: Mapping[tuple[int, str], int]
    tombstones: frozenset[str]
    given_up: Mapping[str, datetime] = field(default_factory=dict[str, datetime])

    @classmethod
    async def read(cls, context: RetentionContext) -> "_KeyringKeys":
        """Read the keyring, and the ledger's entries about replaced keys."""
        counts = await context.keyring.counts()
        return cls(
            context,
            [KeyPeriod(*name) for name in await context.keyring.periods()],
            {group: count.destroyed for group, count in counts.periods.items()},
            frozenset(await context.keyring.tombstones()),
            await given_up_keys(context),
        )

    @property
    def backup_days(self) -> int:
        """The days after which a destroyed key has left the keyring's backups."""
        return self.context.keyring_backup_days

    async def counts(
        self,
        connection: Connection,
        window: Window,
        tier: int,
        parts: Sequence[Partition],
        accounts: list[int] | None,
    ) -> ClassKeys:
        """The keys of a window's class and tier. What is sealed with personal keys is in the error store."""
        group = (tier, window.data_class.value)
        live = {key.period for key in self.periods if (key.tier, key.data_class) == group}
        lost = held = 0
        if window.data_class is DataClass.PERSONAL and window.store is Store.CALL_ERROR:
            lost = await self._lost(connection, tier, parts, live)
            held = await connection.fetchval(_ESCROWED, tier, accounts)
        return ClassKeys(len(live), self.destroyed.get(group, 0), lost, held)

    async def _lost(self, connection: Connection, tier: int, parts: Sequence[Partition], live: set[str]) -> int:
        lost = 0
        for day in (day for part in parts for day in _days(part)):
            name = str(PeriodKeyName(tier, DataClass.PERSONAL.value, day))
            start, end = period_bounds(day)
            if day in live:  # it may have replaced a lost key, with which earlier values were sealed
                end = min(end, self.given_up.get(name, start))
            if start < end and name not in self.tombstones:
                lost += await connection.fetchval(_ANY_SEALED, tier, start, end)
        return lost

    def next_due(self, window: Window, tier: int, policy: Policy, earlier: Sequence[Earlier]) -> datetime | None:
        """When the next key of the window's class and tier is to be destroyed; None without keys."""
        group = (tier, window.data_class.value)
        keys = [key for key in self.periods if (key.tier, key.data_class) == group]
        return min((key_due_at(policy, key, earlier) for key in keys), default=None)


def kept_days(policy: Policy, window: Window) -> int:
    """The days after which nothing of the class exists: its rows are gone, or, sooner, the key that opens it."""
    tier = policy.tiers[window.tier]
    by_row = kept_at_most_days(policy, tier.number, window.store)
    by_key = _key_days(policy, window)
    return by_row if by_key is None else min(by_row, by_key)


def _key_days(policy: Policy, window: Window) -> int | None:
    """The days after which the last period key of the class is destroyed; None when part of it is stored in clear."""
    clear = any(
        (rule.data_class, rule.store) == (window.data_class, window.store)
        and rule.action in (Action.KEEP, Action.MASK)
        and field not in SEALED
        for field, rule in policy.fields.items()
    )
    if clear:
        return None
    tier = policy.tiers[window.tier]
    longest = max(tier.readable(window.data_class, store) for store in (Store.CALL, Store.CALL_ERROR))
    period = 31 if policy.pseudonym_period.value == "month" and window.store is Store.CALL else 1
    return longest + period + GRACE.days


def _unreadable_days(policy: Policy, window: Window, backup_days: int) -> int | None:
    by_key = _key_days(policy, window)
    return None if by_key is None else by_key + backup_days


def _with_keys(state: StoreState, key_due: datetime | None) -> StoreState:
    moments = [moment for moment in (state.next_due_at, key_due) if moment is not None]
    return replace(state, next_due_at=min(moments, default=None))


def _earliest(oldest: datetime | None, detached: Iterable[DetachedRows]) -> datetime | None:
    moments = [moment for moment in (oldest, *(found.oldest for found in detached)) if moment is not None]
    return min(moments, default=None)


def _days(part: Partition) -> Iterable[str]:
    day = part.start
    while day < part.end:
        yield day.strftime("%Y-%m-%d")
        day += timedelta(days=1)


def _order(part: Partition) -> tuple[str, int, datetime]:
    return part.store.value, part.tier, part.start


def _store_and_tier(part: Partition) -> tuple[Store, int]:
    return part.store, part.tier
