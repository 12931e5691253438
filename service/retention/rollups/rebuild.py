"""Rebuilds sums from calls, day by day, while the service runs.

For a UTC day that differs from its calls, all sums are deleted and the calls are summed into deltas, in one statement:
readers, who add deltas and rollups, see the right sums from its commit on and the old ones until then. Compaction
treats these deltas as any others. After a crash each day is as it was or as it should be.

Only days of which all calls still exist are rebuilt. Older sums are in the rollups alone: those are kept as they are,
and the sums that are derived from a rollup are rebuilt from it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policies.evidence import LedgerKind
from policies.policy.model import Store
from service.query.usage.consistency import check_usage
from service.retention.context import RetentionContext
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_keys import NOTHING_MOVES, first_complete_day
from service.retention.rollups.tag_sums import derive_tags, remake_tags
from service.retention.rollups.totals import DERIVED_SUMS, DerivedSums, summed
from service.retention.rollups.totals_check import check_derived_sums
from service.retention.rollups.unsummed_check import check_unsummed
from service.storage.citus.settling import settle
from service.storage.cold.catalogue import LOCK as COLD_LOCK
from service.storage.cold.catalogue import FrozenTimes
from service.storage.connection import Connection, one_row
from service.storage.statements.unsummed import is_unsummed
from service.storage.statements.write import deltas_of

_DAY: Final = timedelta(days=1)
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
_ARE_THERE: Final = """
    SELECT EXISTS (
        SELECT FROM calledger_partitions(ARRAY['call'])
        WHERE tier = $1 AND start_at <= $2 AND end_at >= $3 AND NOT pending
    )
"""
"""Whether nobody has begun to detach the calls of some time."""
_TAGS: Final = "SELECT tag_key FROM usage_tag_key ORDER BY tag_key"
"""The tags of which deltas are made."""
_WINDOW: Final = "tier = $1 AND {time} >= $2 AND {time} < $3"
_BUCKETS: Final = _WINDOW.format(time="bucket_at")
_STARTED: Final = _WINDOW.format(time="started_at")
# The sums of an account under erasure are deleted before the calls that a hold keeps: they are not rebuilt.
_CALLS: Final = f"""(
    SELECT * FROM call WHERE {_STARTED} AND account_id <> ALL (
        ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT')
    )
) AS kept"""  # noqa: S608 - names of our own
_DERIVED_TABLES: Final = [sums.table for resting in DERIVED_SUMS.values() for sums in resting]
_FORGOTTEN: Final = ", ".join(
    f"{table}_gone AS (DELETE FROM {table} WHERE {_BUCKETS})"  # noqa: S608
    for table in _DERIVED_TABLES
)
# One statement has one snapshot: a call that commits meanwhile is not summed, and its delta is not deleted. On Citus no
# call commits meanwhile.
_REBUILD: Final = f"""
    WITH deltas_gone AS (DELETE FROM usage_delta WHERE {_BUCKETS} RETURNING calls, amount),
    quarters_gone AS (DELETE FROM usage_quarter WHERE {_BUCKETS} RETURNING calls, amount),
    days_gone AS (DELETE FROM usage_day WHERE {_BUCKETS} RETURNING calls, amount),
    summed AS (DELETE FROM usage_unsummed WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3),
    {_FORGOTTEN},
    made AS ({deltas_of(_CALLS, corrections=True)} RETURNING calls, amount), was AS (
        SELECT * FROM deltas_gone UNION ALL SELECT * FROM quarters_gone
    )
    SELECT
        (SELECT coalesce(sum(calls), 0)::bigint FROM was) AS before,
        (SELECT coalesce(sum(calls), 0)::bigint FROM made) AS after,
        (SELECT coalesce(sum(amount), 0)::text FROM was) AS amount_before,
        (SELECT coalesce(sum(amount), 0)::text FROM made) AS amount_after
"""  # noqa: S608


def _rebuild_derived(store: Store, sums: DerivedSums) -> tuple[str, str]:
    """Statements that delete the derived sums of a window, and derive them again from the rollup's rows: of days that
    have both.
    """
    rows = f"(SELECT * FROM {store.value} WHERE {_BUCKETS} AND NOT {is_unsummed(sums.table)}) AS stored"  # noqa: S608
    columns = f"bucket_at, {sums.key}, {', '.join(sums.names)}"
    return (
        f"DELETE FROM {sums.table} WHERE {_BUCKETS} AND NOT {is_unsummed(store.value)}",  # noqa: S608
        f"INSERT INTO {sums.table} ({columns}) {summed(sums, rows)} ORDER BY bucket_at",
    )


_REBUILD_DERIVED: Final = {
    sums.table: _rebuild_derived(store, sums) for store, resting in DERIVED_SUMS.items() for sums in resting
}


@dataclass(frozen=True, slots=True)
class RebuiltDay:
    """A UTC day of a tier whose sums were rebuilt: the calls and the amount (of all currencies) before and after."""

    tier: int
    day: datetime
    before: int
    after: int
    amount_before: str
    amount_after: str


async def days_to_rebuild(context: RetentionContext) -> list[tuple[int, datetime]]:
    """The UTC days, by tier, of which all calls exist and differ from their sums."""
    policy = context.policy()
    now: datetime = await context.owner.fetchval("SELECT now()")
    catalogue = await context.partitions.catalogue([Store.CALL], sized=False)
    found = {(one.tier, one.day) async for one in check_usage(context.owner, policy)}
    found |= {(one.tier, one.day) async for one in check_tags(context.owner, policy)}
    for check in (check_derived_sums, check_unsummed, check_tags_of_all):
        async for one in check(context.owner, policy):
            if one.day >= first_complete_day(policy, one.tier, now):
                found.add((one.tier, one.day))
    # The calls of a day without a partition are gone, and those in files are not summed: its sums are all that is left.
    frozen = await FrozenTimes.read(context.owner)
    attached = [part for part in catalogue.partitions if part.name in catalogue.attached]
    return sorted(
        (tier, day)
        for tier, day in found
        if any(part.tier == tier and part.start <= day and day + _DAY <= part.end for part in attached)
        and not frozen.touch(tier, day, day + _DAY)
    )


class _CallsGoError(Exception):
    """The calls of a day go, or are gone: its sums are all that is left."""


async def rebuild_sums(
    context: RetentionContext, days: list[tuple[int, datetime]], *, actor: str
) -> AsyncIterator[RebuiltDay]:
    """Rebuild the sums of these days, each in a transaction of its own with its entry in the ledger. Days whose calls
    have been purged or have moved to files since they were chosen are left as they are.
    """
    for tier, day in days:
        try:
            rebuilt = await _rebuild_day(context, tier, day, actor)
        except _CallsGoError:
            continue
        yield rebuilt


async def _rebuild_day(context: RetentionContext, tier: int, day: datetime, actor: str) -> RebuiltDay:
    """Rebuild the sums of one day. Raises _CallsGoError where they are to be left as they are."""
    async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(NOTHING_MOVES, COLD_LOCK)
        await connection.execute(_LOCK, COMPACTION_LOCK)
        if (await FrozenTimes.read(connection)).touch(tier, day, day + _DAY):
            raise _CallsGoError
        await settle(connection)
        row = await one_row(connection, _REBUILD, tier, day, day + _DAY)
        keys = [row["tag_key"] for row in await connection.fetch(_TAGS)]
        await remake_tags(connection, tier, day, day + _DAY, keys)
        # A purge may have begun to detach them at any moment before: then they were not read, or not by all of this.
        if not await connection.fetchval(_ARE_THERE, tier, day, day + _DAY):
            raise _CallsGoError
        facts = {
            "tier": tier,
            "day": f"{day:%Y-%m-%d}",
            "calls_before": row["before"],
            "calls_after": row["after"],
            "amount_before": row["amount_before"],
            "amount_after": row["amount_after"],
        }
        await context.ledger.append(LedgerKind.SUMS_REBUILT, facts, actor=actor, connection=connection)
    return RebuiltDay(tier, day, *row)


async def rebuild_derived_sums(context: RetentionContext) -> int:
    """Rebuild the derived sums of days that differ from their rollups, where calls no longer exist; how many days."""
    policy, done = context.policy(), 0
    async for one in check_derived_sums(context.owner, policy):
        delete, insert = _REBUILD_DERIVED[one.table]
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, COMPACTION_LOCK)
            for statement in (delete, insert):
                await connection.execute(statement, one.tier, one.day, one.day + _DAY)
        done += 1
    async for one in check_tags_of_all(context.owner, policy):
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, COMPACTION_LOCK)
            keys = [row["tag_key"] for row in await connection.fetch(_TAGS)]
            await derive_tags(connection, one.tier, one.day, keys)
        done += 1
    return done


async def derive_again(connection: Connection, store: Store, tier: int, start: datetime, end: datetime) -> None:
    """Make the sums that are derived from a rollup anew for some of its time, under the lock of compaction."""
    for sums in DERIVED_SUMS.get(store, ()):
        for statement in _REBUILD_DERIVED[sums.table]:
            await connection.execute(statement, tier, start, end)
