"""Sums are kept where they are fewer than their calls: elsewhere single calls answer, which are as quickly read.

A UTC day of a tier is looked at once, when it has been over for a day. A table of sums that has more rows of it than a
third of its calls loses them, and `usage_unsummed` says so: readers take the calls of such a day in their stead, and
leave out what of it is not compacted yet, in one statement and so in one snapshot (`service/query/usage/union_sql.py`).
Before the calls of such a day go (to files, or for good), the sums that outlive them are made again.

Sums and `usage_unsummed` are changed in one transaction, under the lock of compaction.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.query.buckets.tier_days import TierDays, every_day, tiers_of
from service.query.usage.plan import floor_to
from service.retention.context import RetentionContext
from service.retention.locks import ERASURE, PURGE
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.compaction import OF_DELTAS, OF_ROLLUPS, grouped, merged
from service.retention.rollups.tag_keys import first_complete_day
from service.retention.rollups.tag_sums import (
    BY_ACCOUNT,
    compact_tags_of_day,
    forget_account_tags,
    forget_waiting_tags,
    remake_tags,
)
from service.retention.rollups.tag_sums import EVERY_TABLE as TAG_TABLES
from service.retention.rollups.tag_sums import TABLES as BY_STORE
from service.retention.rollups.totals import DERIVED_SUMS, added
from service.storage.citus.engine import engine_on
from service.storage.cold.catalogue import AGE_MIN, cold_files, overlapping
from service.storage.connection import Connection, one_row
from service.storage.partitioning.sums import DERIVED, beside
from service.storage.partitions import catalogue_of, quoted
from service.storage.shared.election import older_service_runs
from service.storage.statements.write import DELTA_COLUMNS, DELTA_NUMBERS, delta_rows_of

CALLS_A_ROW: Final = 3
"""Sums that are kept have a row for so many calls, or for more."""
CALLS_MIN: Final = 20
"""Days of fewer calls keep their sums, which are few."""
WORK_S: Final = 60.0
"""How long a round of maintenance looks at days."""
SETTLED: Final = timedelta(days=1)
"""How long after the migration days keep all of their sums: services of an older version do not ask which they have."""

_DAY: Final = timedelta(days=1)
_MARGIN: Final = timedelta(days=7)
"""Days that are past their window so soon keep their sums, which would soon be made again."""
_EMPTY_BYTES: Final = 2**20
_ENTRY_BYTES: Final = 200
_IS_SETTLED: Final = """
    SELECT EXISTS (
        SELECT 1 FROM tortoise_migrations WHERE name = '0047_tag_sum_partitions' AND applied_at + $1 <= now()
    )
"""
"""Whether the migration was so long ago."""
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
_MAY: Final = "SELECT pg_try_advisory_xact_lock_shared($1)"
TABLES: Final = tuple(
    table for store, resting in DERIVED_SUMS.items() for table in (store.value, *(sums.table for sums in resting))
)
"""The tables of sums that may have no rows of a day, each by itself."""
EVERY_TABLE: Final = (*TABLES, *TAG_TABLES)
"""The same and those by tag."""
OUTLIVING: Final = (
    Store.USAGE_DAY.value,
    *(sums.table for sums in DERIVED_SUMS[Store.USAGE_DAY]),
    *BY_STORE[Store.USAGE_DAY],
)
"""Those to be made before calls go: by day, because they are kept for longer."""
_DERIVED: Final = {store.value: {sums.table for sums in resting} for store, resting in DERIVED_SUMS.items()}
_IN_FILE: Final = """
    SELECT EXISTS (
        SELECT FROM cold_file WHERE tier = $1 AND start_at < $2::timestamptz + interval '1 day' AND end_at > $2
    )
"""
"""Whether calls of a day are in a file, or soon will be."""
_OF_DAY: Final = "tier = $1 AND bucket_at >= $2 AND bucket_at < $2::timestamptz + interval '1 day'"
_STARTED: Final = _OF_DAY.replace("bucket_at", "started_at")
_ROWS: Final = f"SELECT (SELECT count(*) FROM call WHERE {_STARTED}) AS calls, " + ", ".join(  # noqa: S608
    f"(SELECT count(*) FROM {table} WHERE {_OF_DAY}) AS {table}"  # noqa: S608
    for table in EVERY_TABLE
)
"""How many calls a day has, and how many rows each table of sums has of it."""
_TAGGED: Final = f"SELECT coalesce(sum(calls), 0)::bigint FROM usage_tag_day WHERE {_OF_DAY}"  # noqa: S608
"""How many calls are in the sums by tag of a day, for each of their tags."""
_TAG_KEYS: Final = "SELECT tag_key FROM usage_tag_key ORDER BY tag_key"
"""The tags of which deltas are made."""
_TAGGED_OF_ACCOUNT: Final = """
    SELECT of_tier, of_day FROM usage_unsummed WHERE sums && $2::text[] AND EXISTS (
        SELECT 1 FROM call
        WHERE account_id = $1 AND tier = of_tier AND started_at >= of_day AND started_at < of_day + interval '1 day'
            AND tags IS NOT NULL
    )
"""
"""The days without sums by tag and account on which an account has calls with tags."""
_FORGET: Final = {table: f"DELETE FROM {table} WHERE {_OF_DAY}" for table in EVERY_TABLE}  # noqa: S608
_NOTE: Final = """
    INSERT INTO usage_unsummed AS known (of_tier, of_day, sums, again) VALUES ($1, $2, $3::text[], $4)
    ON CONFLICT (of_tier, of_day) DO UPDATE SET again = excluded.again, sums = ARRAY(
        SELECT DISTINCT name FROM unnest(known.sums || excluded.sums) AS name ORDER BY name
    )
"""
"""Note that a day was looked at, and which tables have no rows of it."""
_KNOWN: Final = "SELECT of_day FROM usage_unsummed WHERE of_tier = $1 AND NOT again"
"""The days of a tier that need not be looked at."""
_UNSUMMED: Final = """
    SELECT of_day, sums FROM usage_unsummed
    WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3 AND sums && $4::text[] ORDER BY of_day
"""
"""The days of some time that one of these tables has no rows of."""
_OF_ACCOUNT: Final = """
    SELECT of_day, sums FROM usage_unsummed
    WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3 AND sums && $4::text[] AND EXISTS (
        SELECT 1 FROM call
        WHERE account_id = $5 AND tier = $1 AND started_at >= of_day AND started_at < of_day + interval '1 day'
    )
"""
"""Those of them on which an account has calls."""
_SUMMED: Final = """
    UPDATE usage_unsummed SET again = false, sums = ARRAY(
        SELECT name FROM unnest(sums) AS name WHERE name <> ALL ($3::text[]) ORDER BY name
    ) WHERE of_tier = $1 AND of_day = $2
"""
"""Note that these tables have rows of a day again."""
_AGAIN: Final = """
    UPDATE usage_unsummed SET again = true FROM unnest($1::smallint[], $2::timestamptz[]) AS made (tier, day)
    WHERE of_tier = tier AND of_day = day
"""
"""Note that days are to be looked at again."""
_ROLLUPS_THERE: Final = """
    SELECT store FROM calledger_partitions($1) WHERE tier = $2 AND start_at <= $3 AND end_at > $3 AND NOT pending
"""
"""The rollups that have a partition of a day."""
_ANALYZE: Final = "ANALYZE usage_unsummed"
_LOOSE: Final = """
    SELECT pg_indexes_size(oid) > $2 + $3 * greatest(reltuples, 0) FROM pg_class WHERE oid = to_regclass($1)
"""
"""Whether a table's indexes are much larger than its rows need."""

_WAITING: Final = ", ".join(
    {"latency_buckets": "ARRAY(SELECT (-1 - bin)::smallint FROM unnest(latency_buckets) AS bin)"}.get(
        name, f"-{name}" if name in DELTA_NUMBERS else name
    )
    for name in DELTA_COLUMNS
)
# Calls of accounts whose erasure was asked for have no sums.
_KEPT: Final = "account_id <> ALL (ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT'))"


def calls_as_rollups() -> str:
    """CTEs `quarters` and `days`: a day's calls ($1 and $2), less what compaction will add, as rollups have them."""
    calls = f"(SELECT * FROM call WHERE {_STARTED} AND {_KEPT}) AS kept"  # noqa: S608
    return f"""given AS MATERIALIZED (
            {delta_rows_of(calls, corrections=True)}
            UNION ALL SELECT {_WAITING} FROM usage_delta WHERE {_OF_DAY} AND {_KEPT}
        ), {grouped("quarters", "bucket_at", "given", OF_DELTAS)},
        {grouped("days", "date_trunc('day', bucket_at, 'UTC')", "quarters", OF_ROLLUPS)}"""  # noqa: S608


@cache
def _made(tables: tuple[str, ...]) -> str:
    """A statement that makes these sums of a day ($1 and $2)."""
    parts = [merged(table, rows) for table, rows in (("usage_quarter", "quarters"), ("usage_day", "days"))
             if table in tables]  # fmt: skip
    parts += [added(sums, "quarters") for resting in DERIVED_SUMS.values() for sums in resting if sums.table in tables]
    return f"WITH {calls_as_rollups()}, {', '.join(parts)} SELECT count(*) FROM given"  # noqa: S608 - names of our own


async def leave_unsummed(context: RetentionContext, *, work_s: float = WORK_S, settled: timedelta = SETTLED) -> int:
    """Look at days that have been over for a day and that nobody looked at, for so long; how many lost some sums.

    Nothing is done within `settled` of the migration that this version began with, nor beside an older service.
    """
    if not context.database.engine.leaves_days_unsummed or not await context.owner.fetchval(_IS_SETTLED, settled):
        return 0
    if await older_service_runs(context.owner):
        return 0
    end, touched = time.monotonic() + work_s, list[tuple[int, datetime]]()
    now: datetime = await context.owner.fetchval("SELECT now()")
    catalogue, files = await context.partitions.catalogue([Store.CALL], sized=False), await cold_files(context.owner)
    for tier in await tiers_of(context.owner):
        known = {day for (day,) in await context.owner.fetch(_KNOWN, tier)}
        first = first_complete_day(context.policy(), tier, now) + _MARGIN
        if context.cold_age is not None:
            first = max(first, floor_to(now - max(context.cold_age, AGE_MIN), _DAY) + _MARGIN)
        parts = [part for part in catalogue.partitions if part.tier == tier and part.name in catalogue.attached]
        for day in sorted({day for part in parts for day in _days(part, first, now - _DAY)} - known):
            if time.monotonic() >= end:
                break
            if not overlapping(files, tier, day, day + _DAY) and await look_at(context.owner, tier, day):
                touched.append((tier, day))
    if touched:
        await context.owner.execute(_ANALYZE)
        await _reclaim(context, touched)
    return len(touched)


async def look_at(owner: asyncpg.Pool, tier: int, day: datetime) -> tuple[str, ...]:
    """Delete the sums of a UTC day that are too many for its calls; the tables that lost some.

    Derived sums that an erasure left to single calls are made again first. Nothing is done while calls are purged,
    erased or move to files, whose sums are made by then, nor of days of which some are in files.
    """
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(_LOCK, COMPACTION_LOCK)
        if not all([await connection.fetchval(_MAY, lock) for lock in (PURGE, ERASURE)]):
            return ()
        if await connection.fetchval(_IN_FILE, tier, day):
            return ()
        for row in await connection.fetch(_UNSUMMED, tier, day, day + _DAY, list(TABLES)):
            await _make(connection, tier, day, set[str]().union(*_DERIVED.values()).intersection(row["sums"]))
        rows = dict(await one_row(connection, _ROWS, tier, day))
        calls = rows.pop("calls")
        tagged: int = await connection.fetchval(_TAGGED, tier, day)
        dear = tuple(
            table
            for table, count in rows.items()
            for of in [tagged if table in TAG_TABLES else calls]
            if of >= CALLS_MIN and count * CALLS_A_ROW > of
        )
        await leave(connection, tier, day, dear)
        return dear


async def make_tag_sums_of(owner: asyncpg.Pool, account: int) -> list[tuple[int, datetime]]:
    """Make the sums by tag and account of the days on which an account has calls with tags, before what it has there
    is changed; tiers and days, to be looked at again afterwards.
    """
    async with owner.acquire() as connection:
        if not engine_on(connection).leaves_days_unsummed:  # Citus does not join the days with calls
            return []
        days = await connection.fetch(_TAGGED_OF_ACCOUNT, account, list(BY_ACCOUNT))
    for tier, day in days:
        await make_sums(owner, TierDays(tier, day, day + _DAY), BY_ACCOUNT)
    return [(tier, day) for tier, day in days]


async def look_again(owner: asyncpg.Pool, days: Collection[tuple[int, datetime]]) -> None:
    """Have `leave_unsummed` look at these days again, whose sums were made for an erasure that is through with them."""
    await owner.execute(_AGAIN, [tier for tier, _ in days], [day for _, day in days])


async def forget_tags_of(owner: asyncpg.Pool, account: int) -> None:
    """Delete all that is summed by tag of an account."""
    made = await make_tag_sums_of(owner, account)
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(_LOCK, COMPACTION_LOCK)
        await forget_waiting_tags(connection, account)
    for part in (await catalogue_of(owner, BY_STORE, sized=False)).partitions:
        async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, COMPACTION_LOCK)
            await forget_account_tags(connection, part, account)
    await look_again(owner, made)


async def make_sums(owner: asyncpg.Pool, days: TierDays, tables: Collection[str] = EVERY_TABLE) -> int:
    """Make those of these sums that there are not, of UTC days of which all calls are stored; how many days."""
    unsummed = await owner.fetch(_UNSUMMED, *days, list(tables))
    for day, _ in unsummed:
        async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, COMPACTION_LOCK)
            # As they are now: another process may have made them.
            for row in await connection.fetch(_UNSUMMED, days.tier, day, day + _DAY, list(tables)):
                await _make(connection, days.tier, day, set(tables).intersection(row["sums"]))
    return len(unsummed)


async def make_every_sum(owner: asyncpg.Pool) -> int:
    """Make all sums that there are not; how many days that were."""
    now: datetime = await owner.fetchval("SELECT now()")
    return sum([await make_sums(owner, days) for days in await every_day(owner, now)])


async def leave_derived(connection: Connection, days: Partition | TierDays, account: int) -> None:
    """Let single calls answer in the stead of derived sums from which those of an account cannot be taken, because
    there are none to derive them from, in the transaction that changes its calls, until `leave_unsummed` makes them
    again.
    """
    await connection.execute(_LOCK, COMPACTION_LOCK)
    if not engine_on(connection).leaves_days_unsummed:
        return
    for day, sums in await connection.fetch(_OF_ACCOUNT, days.tier, days.start, days.end, list(_DERIVED), account):
        resting = [tables for rollup, tables in _DERIVED.items() if rollup in sums]
        if left := set[str]().union(*resting).difference(sums):
            await leave(connection, days.tier, day, sorted(left), again=True)


async def leave(
    connection: Connection, tier: int, day: datetime, tables: Collection[str], *, again: bool = False
) -> None:
    """Delete the rows of a UTC day from these tables of sums, so that its calls answer, and note it: in a transaction
    of the caller's, under the lock of compaction. `again`: the day is to be looked at again.
    """
    for table in tables:
        await connection.execute(_FORGET[table], tier, day)
    await connection.execute(_NOTE, tier, day, list(tables), again)


async def _make(connection: Connection, tier: int, day: datetime, tables: Collection[str]) -> None:
    """Make sums of which there are no rows of the day, or none that count, and note it."""
    if not tables:
        return
    stores = [store.value for store in DERIVED_SUMS]
    there = {store for (store,) in await connection.fetch(_ROLLUPS_THERE, stores, tier, day)}
    if dropped := [table for store in DERIVED_SUMS if store.value not in there for table in _beside_rollup(store)]:
        # A purge of sums alone was here before: they are not made again, and nothing that waits is added to them.
        await leave(connection, tier, day, dropped)
        tables = set(tables).difference(dropped)
    if plain := tuple(table for table in TABLES if table in tables):
        for table in plain:
            await connection.execute(_FORGET[table], tier, day)
        await connection.execute(_made(plain), tier, day)
    if tables:
        await connection.execute(_SUMMED, tier, day, list(tables))
    if any(table in tables for table in TAG_TABLES):
        keys = [key for (key,) in await connection.fetch(_TAG_KEYS)]
        await remake_tags(connection, tier, day, day + _DAY, keys)
        # At once: of what waits, a purge may have dropped the partitions by then.
        await compact_tags_of_day(connection, tier, day)


def _beside_rollup(store: Store) -> tuple[str, ...]:
    """A rollup and all sums whose partitions stand beside its own."""
    return (store.value, *DERIVED[store])


def _days(part: Partition, first: datetime, last: datetime) -> Iterable[datetime]:
    """The UTC days of a partition that begin at `first` or later and end by `last`."""
    day = max(part.start, first)
    while day + _DAY <= min(part.end, last):
        yield day
        day += _DAY


async def _reclaim(context: RetentionContext, days: Collection[tuple[int, datetime]]) -> None:
    """Give back the space of deleted rows. Others may be in the way: autovacuum does some of it then."""
    rollups = await context.partitions.catalogue(DERIVED_SUMS, sized=False)
    tables = [
        name
        for part in rollups.partitions
        if any(part.tier == tier and part.start <= day < part.end for tier, day in days)
        for name in (part.name, *(own.name for own in beside(part)))
    ]
    for table in tables:
        with suppress(asyncpg.PostgresError):
            async with context.owner.acquire() as connection:
                await connection.execute(f"VACUUM (ANALYZE) {quoted(table)}", timeout=3600)
                if await connection.fetchval(_LOOSE, quoted(table), _EMPTY_BYTES, _ENTRY_BYTES):
                    await connection.execute(f"REINDEX TABLE CONCURRENTLY {quoted(table)}", timeout=3600)
