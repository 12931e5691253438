"""The partitions of the stores: made before rows need them, listed, detached and dropped.

Other statements must not wait, so a partition is made by CREATE TABLE (LIKE ...) and ATTACH, and removed by DETACH
CONCURRENTLY and DROP, file by file (docs/performance.md has the waits). Nothing is ever granted on a partition, because
its parent's row-level security does not apply to a direct read. In addition each partition has row-level security of
its own without a policy: a role that is granted one all the same sees no row in it.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

import asyncpg

from policies.policy.model import Policy, Store
from policies.retention import Partition, partition_bounds
from service.storage.citus.detaching import detach_shards, on_this_node
from service.storage.citus.engine import engine_on
from service.storage.connection import Connection, one_row
from service.storage.errors import DatabaseError, PartitionsBusyError
from service.storage.partitioning.ranges import Ranges
from service.storage.partitioning.sums import DERIVED_TABLES, beside, left_behind, missing

Need = tuple[Store, int, datetime]
"""A row that needs a partition: its store, its tier and the time by which the store is partitioned."""

InTransaction = Callable[[Connection], Awaitable[None]]
_Found = TypeVar("_Found")

AHEAD: Final = 2
"""Partitions made beyond today's, for each tier and store."""

_LOCK: Final = 0x63616C6C_0002
_BESIDE_AT_ONCE_MAX: Final = 64
_MADE_AT_ONCE_MAX: Final = 16  # a transaction can hold few locks, and a long import may need many partitions
_ATTEMPTS: Final = 8
_PAUSE_S: Final = 0.2
_YIELD_MAX_S: Final = 1.0
_NAME: Final = re.compile(r"(call|call_error|usage_quarter|usage_day)_t[0-9]{1,5}_[0-9]{8}(_[0-9]+)?", re.ASCII)

# Other sessions can hold a lock too long, or make or detach the same table meanwhile.
_RACES: Final = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.DuplicateTableError,
    asyncpg.WrongObjectTypeError,  # a table of that name is attached elsewhere
    asyncpg.UniqueViolationError,
    asyncpg.InvalidObjectDefinitionError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # another partition is being detached, or this one just was
)

_RANGES = "SELECT * FROM calledger_partitions($1)"
"""The partitions of a store with their ranges."""
_SIZED = """
    SELECT parts.*, greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
    FROM calledger_partitions($1) AS parts JOIN pg_class c ON c.oid = parts.partition
    ORDER BY store, tier, start_at
"""
_UNSIZED = "SELECT parts.*, 0::bigint AS rows, 0::bigint AS bytes FROM calledger_partitions($1) AS parts"
_NAMES = """
    SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ANY ($1::text[]::regclass[])
"""
_DETACHED = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND NOT relispartition AND relnamespace = current_schema()::regnamespace
"""
_EXISTS = "SELECT to_regclass($1) IS NOT NULL"
"""Whether a table is there."""
_EXISTING = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NOT NULL"
# Sets a lock timeout of two seconds for the session or transaction, and reads the partition's state, in one round trip.
_BEFORE_DETACH = """
    SELECT set_config('lock_timeout', '2s', false), (
        SELECT inhdetachpending FROM pg_inherits WHERE inhparent = $1::text::regclass AND inhrelid = to_regclass($2)
    ) AS pending
"""
# Reads a table's state, and which of its indexes to drop next: the primary key last, because it finds held rows.
_BEFORE_DROP = """
    SELECT set_config('lock_timeout', '2s', true), there.relispartition AS attached, next.index, next.constraint
    FROM (VALUES (1)) AS always
    LEFT JOIN pg_class AS there ON there.oid = to_regclass($1)
    LEFT JOIN LATERAL (
        SELECT indexrelid::regclass::text AS index, rule.conname AS constraint
        FROM pg_index
        LEFT JOIN pg_constraint AS rule ON rule.conrelid = indrelid AND rule.conindid = indexrelid
        WHERE indrelid = there.oid
        ORDER BY indisprimary, indexrelid LIMIT 1
    ) AS next ON true
"""


def _do_nothing() -> None:
    """Do nothing, as the default of `on_index`."""


class Catalogue(NamedTuple):
    """The partitions at one time, by store, tier and time. `attached`: names of those whose detaching has not begun."""

    partitions: list[Partition]
    attached: frozenset[str]


class Partitions:
    """The partitions of one database, changed by the owner's connections. Any number of processes may do so at once."""

    def __init__(self, owner: asyncpg.Pool, *, attempts: int = _ATTEMPTS) -> None:
        """`attempts` of about two seconds are made when other sessions hold locks that a change needs."""
        self._owner = owner
        self._attempts = attempts
        self._known: dict[tuple[Store, int], Ranges] = {}
        self.ensured: set[tuple[Store, int, int]] = set()
        """Store, tier and UTC day (its ordinal) of what `ensure` was asked for since the last `forget`."""
        self._making = asyncio.Lock()

    async def ensure(self, policy: Policy, needs: Iterable[Need]) -> None:
        """Make the partitions that these rows need and that do not exist. PartitionsBusyError after many tries.

        Partitions that are known cost no round trip. A caller whose insert fails with `no partition of relation` calls
        `forget` and then this once more.
        """
        needs = list(needs)
        if missing := self._missing(needs):
            async with self._making:
                while missing := self._missing(missing):
                    wanted = sorted(missing)
                    await self._retry(lambda wanted=wanted: self._make(policy, wanted))
        self.ensured.update([(store, tier, moment.toordinal()) for store, tier, moment in needs])

    async def ensure_anew(self, policy: Policy, needs: Iterable[Need]) -> None:
        """The same, and nothing is taken for known: an older service makes a rollup's without those beside it."""
        self.forget()
        await self.ensure(policy, needs)

    async def make_ahead(self, policy: Policy, now: datetime) -> None:
        """Make today's partition and the next `AHEAD`, for every tier and store."""
        needs = []
        for tier in policy.tiers.values():
            for store in Store:
                moment = now
                for _ in range(1 + AHEAD):
                    needs.append((store, tier.number, moment))
                    moment = partition_bounds(policy, tier.number, store, moment)[1]
        await self.ensure(policy, needs)

    def forget(self) -> None:
        """Read the partitions again next time: some were dropped, or windows changed."""
        self._known.clear()
        self.ensured.clear()

    async def list(self, store: Store) -> list[Partition]:
        """The store's partitions by tier and time, those that are being detached included."""
        return (await self.catalogue([store])).partitions

    async def catalogue(self, stores: Iterable[Store] = Store, *, sized: bool = True) -> Catalogue:
        """The partitions of these stores and which of them are attached; one statement.

        Unless `sized`, rows and bytes are zeros: sizes need a look at every file.
        """
        return await catalogue_of(self._owner, stores, sized=sized)

    async def foreign(self) -> tuple[str, ...]:
        """Names of partitions that we did not make: their bounds are not one tier and a time range."""
        tables = [*Store, *DERIVED_TABLES]
        names = {row["name"] for row in await self._owner.fetch(_NAMES, tables)}
        return tuple(sorted(names - {row["name"] for row in await self._owner.fetch(_RANGES, tables)}))

    async def finalise_leftovers(self) -> tuple[str, ...]:
        """Finish detaches that were interrupted; until then no other partition can be detached. Returns their names."""
        rows = await self._owner.fetch(_RANGES, [*Store, *DERIVED_TABLES])
        pending = [(row["store"], row["name"]) for row in rows if row["pending"]]
        for table, name in pending:
            await self._retry(lambda table=table, name=name: self._detach(table, name))
        return tuple(name for _, name in pending)

    async def detach(self, partition: Partition) -> None:
        """Detach the partition from its store, if it is attached. New statements do not see it from the start.

        It waits for statements that began before, and no statement waits for it. PartitionsBusyError when they outlast
        every attempt: the detach is then half done, and the next call continues it. Derived sums go with their rollup.
        """
        for table, name in ((partition.store.value, partition.name), *beside(partition)):
            await self._retry(lambda table=table, name=name: self._detach(table, name))

    async def drop(
        self, partition: Partition, *, first: InTransaction | None = None, on_index: Callable[[], None] = _do_nothing
    ) -> None:
        """Drop a detached partition, index by index, and at last its rows. Nothing happens if it does not exist.

        `on_index` is called after each index; `first` runs in the transaction in which the rows are dropped, at each
        try.

        One file at a time, because a file system that discards freed blocks keeps the disk busy meanwhile, and each
        commit waits for that. After each file it pauses for as long as the drop took, up to a second. Derived sums are
        dropped before their rollup.
        """
        if not named_by_us(partition):
            raise DatabaseError(f"`{partition.name}` is not a partition that calledger made: it is not dropped")
        for table, name in beside(partition):
            await self._retry(lambda table=table, name=name: self._detach(table, name))
            await self._drop(name)
        await self._drop(partition.name, first, on_index)

    async def left_behind(self) -> tuple[str, ...]:
        """The names of partitions of derived sums whose rollup is gone, as an older service leaves them."""
        return tuple(name for _, name in await left_behind(self._owner))

    async def drop_left_behind(self) -> None:
        """Drop those."""
        for table, name in await left_behind(self._owner):
            await self._retry(lambda table=table, name=name: self._detach(table, name))
            await self._drop(name)

    async def _drop(
        self, name: str, first: InTransaction | None = None, on_index: Callable[[], None] = _do_nothing
    ) -> None:
        """Drop a detached table as `drop` does."""
        is_more = True
        while is_more:
            begin = time.monotonic()
            is_more = await self._retry(lambda: self._drop_next(name, first))
            if is_more:
                on_index()
            await asyncio.sleep(min(time.monotonic() - begin, _YIELD_MAX_S))

    async def detached(self) -> frozenset[str]:
        """The names of tables that were our partitions and are still to be dropped."""
        return frozenset(name for (name,) in await self._owner.fetch(_DETACHED) if _NAME.fullmatch(name))

    async def exists(self, partition: Partition) -> bool:
        """Whether a table of this name exists, attached or not."""
        return bool(await self.existing([partition]))

    async def existing(self, partitions: Iterable[Partition]) -> tuple[str, ...]:
        """The names of those partitions that exist as tables, attached or not."""
        rows = await self._owner.fetch(_EXISTING, [partition.name for partition in partitions])
        return tuple(name for (name,) in rows)

    async def _retry(self, step: Callable[[], Awaitable[_Found]]) -> _Found:
        """Run `step` until no other session is in its way.

        Each try waits two seconds at most, so that nobody waits long behind it. PartitionsBusyError after the last.
        """
        attempt = 1
        while True:
            try:
                return await step()
            except _RACES as error:
                if attempt >= self._attempts:
                    raise PartitionsBusyError from error
            attempt += 1
            await asyncio.sleep(_PAUSE_S * (0.5 + random.random()))  # noqa: S311 - it only spreads the attempts

    def _missing(self, needs: Iterable[Need]) -> set[Need]:
        known = self._known
        return {need for need in needs if (ranges := known.get(need[:2])) is None or not ranges.contains(need[2])}

    async def _make(self, policy: Policy, wanted: Sequence[Need]) -> None:
        stores = {store for store, _, _ in wanted}
        async with self._owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            found = await _read(connection, stores)
            made = 0
            for store, tier, moment in wanted:
                ranges = found.setdefault((store, tier), Ranges())
                if not ranges.contains(moment):
                    start, end = ranges.gap(moment, *partition_bounds(policy, tier, store, moment))
                    await _create(connection, store, tier, start, end)
                    ranges.add(start, end)
                    made += 1
                if made == _MADE_AT_ONCE_MAX:
                    break
            lacking = await missing(connection, stores, _BESIDE_AT_ONCE_MAX)
            for own, part in lacking:
                await _attach(connection, own.table, own.name, part.tier, part.start, part.end)
        if len(lacking) < _BESIDE_AT_ONCE_MAX:
            self._known.update(found)

    async def _detach(self, store: str, name: str) -> None:
        async with self._owner.acquire() as connection:
            if engine_on(connection).detaches_concurrently:
                await _detach_here(connection, store, name)
                return
            try:
                # First, so that it is known to be pending until the shards are detached too.
                async with on_this_node(connection):
                    await _detach_here(connection, store, name)
            finally:
                await detach_shards(connection, store, name)

    async def _drop_next(self, name: str, first: InTransaction | None) -> bool:
        """Drop one index, or the table when it has none left; whether there is more to drop."""
        table = quoted(name)
        async with self._owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            state = await one_row(connection, _BEFORE_DROP, table)
            if state["attached"]:
                raise DatabaseError(f"the partition `{name}` is still attached: it is not dropped")
            if state["attached"] is None:
                return False
            if state["constraint"] is not None:
                constraint = quoted(state["constraint"])
                await connection.execute(f"ALTER TABLE IF EXISTS {table} DROP CONSTRAINT IF EXISTS {constraint}")
            elif state["index"] is not None:
                await connection.execute(f"DROP INDEX IF EXISTS {state['index']}")
            else:
                if first is not None:
                    await first(connection)
                await connection.execute(f"DROP TABLE IF EXISTS {table}")
            return state["index"] is not None


async def catalogue_of(
    source: asyncpg.Pool | Connection, stores: Iterable[Store] = Store, *, sized: bool = True
) -> Catalogue:
    """The catalogue as `Partitions.catalogue` returns it, over any connection: every role may read it."""
    rows = await source.fetch(_SIZED if sized else _UNSIZED, [store.value for store in stores])
    present = [row for row in rows if row["bytes"] is not None]  # null: dropped since the statement began
    found = [
        Partition(Store(store), name, tier, start, end, size, size_bytes)
        for store, name, tier, start, end, _, _, size, size_bytes in present
    ]
    return Catalogue(found, frozenset(row["name"] for row in present if not row["pending"]))


def named_by_us(partition: Partition) -> bool:
    """Whether the partition's name is one that this program gives to partitions of its store."""
    return partition.name.startswith(f"{partition.store.value}_t") and _NAME.fullmatch(partition.name) is not None


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


async def _ranges(connection: Connection, stores: Iterable[Store]) -> list[asyncpg.Record]:
    return await connection.fetch(_RANGES, [store.value for store in stores])


async def _finalise(connection: Connection, store: str, name: str) -> None:
    """End a detaching that was interrupted."""
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.execute(f"ALTER TABLE {store} DETACH PARTITION {quoted(name)} FINALIZE")


async def _read(connection: Connection, stores: Iterable[Store]) -> dict[tuple[Store, int], Ranges]:
    found: dict[tuple[Store, int], Ranges] = {}
    for row in await _ranges(connection, stores):
        found.setdefault((Store(row["store"]), row["tier"]), Ranges()).add(row["start_at"], row["end_at"])
    return found


async def _create(connection: Connection, store: Store, tier: int, start: datetime, end: datetime) -> None:
    """Create one partition and attach it."""
    name = await _free_name(connection, f"{store.value}_t{tier}_{start.astimezone(UTC):%Y%m%d}")
    await _attach(connection, store.value, name, tier, start, end)


async def _attach(connection: Connection, table: str, name: str, tier: int, start: datetime, end: datetime) -> None:
    """Create a partition of a table under this name, or take the table of that name, which was one, and attach it."""
    await connection.execute(
        f"CREATE TABLE IF NOT EXISTS {quoted(name)} "
        f"(LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION)"
    )
    await connection.execute(f"ALTER TABLE {quoted(name)} ENABLE ROW LEVEL SECURITY")
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {quoted(name)} "
        f"FOR VALUES FROM ({tier:d}, '{start.isoformat()}') TO ({tier:d}, '{end.isoformat()}')"
    )


async def _free_name(connection: Connection, name: str) -> str:
    # A detached table of that name may still have to be dropped, and a purge drops by name: names are never reused.
    free, number = name, 1
    while await connection.fetchval(_EXISTS, free):
        number += 1
        free = f"{name}_{number}"
    return free


async def _detach_here(connection: Connection, store: str, name: str) -> None:
    """Detach a partition, or end what was begun. CONCURRENTLY runs outside a transaction, and so does its timeout."""
    try:
        before = await one_row(connection, _BEFORE_DETACH, store, quoted(name))
        if before["pending"]:
            await _finalise(connection, store, name)
        elif before["pending"] is not None:
            await connection.execute(f"ALTER TABLE {store} DETACH PARTITION {quoted(name)} CONCURRENTLY")
    finally:
        await _reset(connection)


async def _reset(connection: Connection) -> None:
    if not connection.is_closed():
        await connection.execute("RESET lock_timeout")
