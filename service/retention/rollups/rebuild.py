"""Sums made anew from calls, day by day, while the service runs.

Of a UTC day that differs from its calls, everything that was summed is deleted and the calls are summed into deltas, in
one statement: readers, who add deltas and rollups, see the right sums from its commit on and the old ones until then.
The folder folds these deltas as any others. A crash leaves each day as it was or as it should be.

Only days of which all calls are still there are made anew. What is older is in the rollups alone: it is kept as it is,
and of it the sums that rest on a rollup are made anew from the rollup.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.policy.model import Policy, Store
from policies.retention import cutoff
from service.query.usage.consistency import check_usage
from service.query.usage.plan import ceil_to
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.rollups.compaction import LOCK as FOLD_LOCK
from service.retention.rollups.totals import RESTING, Sums, summed
from service.retention.rollups.totals_check import check_overall
from service.storage.connection import one_row
from service.storage.statements.write import deltas_of

_DAY: Final = timedelta(days=1)
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
_WINDOW: Final = "tier = $1 AND {time} >= $2 AND {time} < $3"
_BUCKETS: Final = _WINDOW.format(time="bucket_at")
_STARTED: Final = _WINDOW.format(time="started_at")
# Of an account that is to be erased the sums go before the calls that a hold keeps: it gets none again.
_CALLS: Final = f"""(
    SELECT * FROM call WHERE {_STARTED} AND account_id <> ALL (
        ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT')
    )
) AS kept"""  # noqa: S608 - names of our own
_RESTING: Final = [sums.table for resting in RESTING.values() for sums in resting]
_FORGOTTEN: Final = ", ".join(
    f"{table}_gone AS (DELETE FROM {table} WHERE {_BUCKETS})"  # noqa: S608
    for table in _RESTING
)
# One statement and so one snapshot: a call that commits meanwhile is neither summed nor is its delta deleted.
_REBUILD: Final = f"""
    WITH deltas_gone AS (DELETE FROM usage_delta WHERE {_BUCKETS} RETURNING calls, amount),
    quarters_gone AS (DELETE FROM usage_quarter WHERE {_BUCKETS} RETURNING calls, amount),
    days_gone AS (DELETE FROM usage_day WHERE {_BUCKETS} RETURNING calls, amount),
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


def _rest_again(store: Store, sums: Sums) -> tuple[str, str]:
    """Statements that delete the sums of a window, and sum the rollup's rows of it again."""
    rows = f"(SELECT * FROM {store.value} WHERE {_BUCKETS}) AS stored"  # noqa: S608
    columns = f"bucket_at, {sums.key}, {', '.join(sums.names)}"
    return (
        f"DELETE FROM {sums.table} WHERE {_BUCKETS}",  # noqa: S608
        f"INSERT INTO {sums.table} ({columns}) {summed(sums, rows)} ORDER BY bucket_at",
    )


_REST_AGAIN: Final = {sums.table: _rest_again(store, sums) for store, resting in RESTING.items() for sums in resting}


@dataclass(frozen=True, slots=True)
class RebuiltDay:
    """A UTC day of a tier whose sums were made anew: the calls and the amount (of all currencies) before and after."""

    tier: int
    day: datetime
    before: int
    after: int
    amount_before: str
    amount_after: str


async def days_to_rebuild(context: RetentionContext) -> list[tuple[int, datetime]]:
    """The UTC days, by tier, of which all calls are here and the sums say something else."""
    policy = context.policy()
    now: datetime = await context.owner.fetchval("SELECT now()")
    there = await context.partitions.catalogue([Store.CALL], sized=False)
    found = {(one.tier, one.day) async for one in check_usage(context.owner, policy)}
    async for one in check_overall(context.owner, policy):
        if one.day >= _first_day(policy, one.tier, now):
            found.add((one.tier, one.day))
    # A day without a partition of calls has lost them: its sums are all that is left of it.
    whole = [part for part in there.partitions if part.name in there.attached]
    return sorted(
        (tier, day)
        for tier, day in found
        if any(part.tier == tier and part.start <= day and day + _DAY <= part.end for part in whole)
    )


async def rebuild_sums(
    context: RetentionContext, days: list[tuple[int, datetime]], *, actor: str
) -> AsyncIterator[RebuiltDay]:
    """Make the sums of these days anew, each in a transaction of its own with its entry in the ledger."""
    for tier, day in days:
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, FOLD_LOCK)
            row = await one_row(connection, _REBUILD, tier, day, day + _DAY)
            facts = {
                "tier": tier,
                "day": f"{day:%Y-%m-%d}",
                "calls_before": row["before"],
                "calls_after": row["after"],
                "amount_before": row["amount_before"],
                "amount_after": row["amount_after"],
            }
            await entries.append(context.ledger, "SUMS_REBUILT", facts, actor=actor, connection=connection)
        yield RebuiltDay(tier, day, *row)


async def rest_again(context: RetentionContext) -> int:
    """Make the sums that rest on rollups anew where they differ from them and calls are not there; how many days."""
    policy, done = context.policy(), 0
    async for one in check_overall(context.owner, policy):
        delete, insert = _REST_AGAIN[one.table]
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_LOCK, FOLD_LOCK)
            for statement in (delete, insert):
                await connection.execute(statement, one.tier, one.day, one.day + _DAY)
        done += 1
    return done


def _first_day(policy: Policy, tier: int, now: datetime) -> datetime:
    """The first UTC day of which all calls of a tier are within their window."""
    return ceil_to(cutoff(policy, tier, Store.CALL, now).astimezone(UTC), _DAY)
