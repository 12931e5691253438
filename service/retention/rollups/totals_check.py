"""A check that derived sums (over all accounts and by API key) equal those of their rollup. Part of fsck."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from service.query.buckets.tier_days import TierDays, every_day, within
from service.retention.rollups.totals import DERIVED_SUMS, DerivedSums, summed
from service.storage.statements.unsummed import is_unsummed

_STRIDE: Final = timedelta(days=28)
"""The time that one statement compares, so that memory does not grow with the window."""

_DIFFERENCES: Final = """
    WITH sides AS (
        SELECT 1 AS side, bucket_at, {key}, {listed} FROM {table}
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND NOT {no_rollup}
        UNION ALL
        SELECT -1, bucket_at, {key}, {listed} FROM ({summed}) AS summed
    ), wrong AS (
        SELECT bucket_at FROM sides GROUP BY bucket_at, {key} HAVING NOT ({equal})
    )
    SELECT date_trunc('day', bucket_at, 'UTC') AS day, count(*) AS keys FROM wrong GROUP BY 1 ORDER BY 1
"""
"""Buckets of which a derived sum is not the sum of what it rests on."""
_STORED: Final = "(SELECT * FROM {} WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND NOT {}) AS stored"


def _statement(store: Store, sums: DerivedSums) -> str:
    return _DIFFERENCES.format(
        key=sums.key,
        listed=", ".join(sums.names),
        table=sums.table,
        no_rollup=is_unsummed(store.value),
        summed=summed(sums, _STORED.format(store.value, is_unsummed(sums.table))),
        equal=" AND ".join(f"sum(side * {name}) = 0" for name in sums.names),
    )


_STATEMENTS: Final = {
    (store, sums.table): _statement(store, sums) for store, resting in DERIVED_SUMS.items() for sums in resting
}


@dataclass(frozen=True, slots=True)
class DerivedDifference:
    """A UTC day on which derived sums differ from the rollup, in `keys` keys."""

    table: str
    store: Store
    tier: int
    day: datetime
    keys: int


async def check_derived_sums(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[DerivedDifference]:
    """Compare all derived sums (of `tier_days`) within the windows of the rollups. Yields nothing when everything
    is right.
    """
    now: datetime = await owner.fetchval("SELECT now()")
    chosen = await every_day(owner, now) if tier_days is None else list(tier_days)
    for (store, table), statement in _STATEMENTS.items():
        for tier, start, end in within(chosen, policy, store, now, _STRIDE):
            for row in await owner.fetch(statement, tier, start, end):
                yield DerivedDifference(table, store, tier, row["day"], row["keys"])
