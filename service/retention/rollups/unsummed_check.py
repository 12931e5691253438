"""A check of sums whose rollup has no rows of a day: they are compared with the calls of that day. Part of fsck."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from service.query.buckets.tier_days import DAY, TierDays, every_day, within
from service.retention.rollups.totals import DERIVED_SUMS, DerivedSums, summed
from service.retention.rollups.totals_check import DerivedDifference
from service.retention.rollups.unsummed import calls_as_rollups

_DAYS: Final = """
    SELECT of_day, sums FROM usage_unsummed
    WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3 AND NOT EXISTS (
        SELECT 1 FROM call WHERE tier = $1 AND started_at >= of_day AND started_at < of_day + interval '1 day'
            AND account_id = ANY (
                ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL)
            )
    ) AND sums && $4::text[]
"""
"""The days of which rollups have no rows, but for those that an erasure is changing."""


def _statement(sums: DerivedSums) -> str:
    """How many sums of a day ($1 and $2) are not those of its calls, less what compaction will add."""
    listed, equal = ", ".join(sums.names), " AND ".join(f"sum(side * {name}) = 0" for name in sums.names)
    return f"""
        WITH {calls_as_rollups()}, sides AS (
            SELECT 1 AS side, bucket_at, {sums.key}, {listed} FROM {sums.table}
            WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $2::timestamptz + interval '1 day'
            UNION ALL
            SELECT -1, bucket_at, {sums.key}, {listed} FROM ({summed(sums, "quarters")}) AS summed
        )
        SELECT count(*) FROM (
            SELECT 1 FROM sides GROUP BY bucket_at, {sums.key} HAVING NOT ({equal})
        ) AS wrong
    """  # noqa: S608 - names of our own


_STATEMENTS: Final = {sums.table: _statement(sums) for resting in DERIVED_SUMS.values() for sums in resting}


async def check_unsummed(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[DerivedDifference]:
    """Compare the derived sums of days (of `tier_days`) of which their rollup has no rows with the calls. Yields
    nothing when everything is right.
    """
    now: datetime = await owner.fetchval("SELECT now()")
    chosen = await every_day(owner, now) if tier_days is None else tier_days
    for tier, start, end in within(chosen, policy, Store.CALL, now, DAY * 28):
        for day, unsummed in await owner.fetch(_DAYS, tier, start, end, [store.value for store in DERIVED_SUMS]):
            for store, resting in DERIVED_SUMS.items():
                for sums in resting if store.value in unsummed else ():
                    if sums.table not in unsummed and (
                        keys := await owner.fetchval(_STATEMENTS[sums.table], tier, day)
                    ):
                        yield DerivedDifference(sums.table, store, tier, day, keys)
