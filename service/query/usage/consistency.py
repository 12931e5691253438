"""Proof that usage is right: rollups and deltas together are the sums of the calls. Part of `calledger fsck`."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from service.query.buckets.tier_days import DAY, TierDays, every_day, within
from service.storage.citus.settling import fetch_differences
from service.storage.cold.catalogue import FrozenTimes

_KEY: Final = "account_id, tier, model, provider, api_key, failed, currency"
_SUMS: Final = (
    "calls",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "priced",
    "amount",
    "estimated",
    "latencies",
)
_PLAIN: Final = ", ".join(_SUMS[:-1])
_EQUAL: Final = " AND ".join(f"sum(side * {name}) = 0" for name in _SUMS)
# Two histograms with equal counts, first and second moments are taken as equal.
_MOMENTS: Final = "sum(entries * (1 + bin::bigint * 1000 + bin::bigint * bin * 1000000))"

# One row per store and key whose sums differ, of one UTC day and one tier. Every side is read in one statement, so that
# neither a compaction nor a writer can come between them (on Citus see `fetch_differences`), and each call is read once
# for both stores.
_STORED: Final = """
        SELECT '{store}' AS store, 1 AS side, {key}, {plain}, coalesce(
            (SELECT {moments} FROM unnest(latency_buckets, latency_counts) AS histogram (bin, entries)), 0
        ) AS latencies
        FROM {store}
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3
"""
"""The sums of one rollup by key, as one side of the comparison."""
_DIFFERENCES: Final = """
    WITH both_have AS MATERIALIZED (
        SELECT 1 AS side, {key}, {plain}, coalesce(
            (SELECT {moments} FROM (
                SELECT greatest(bin, -1 - bin) AS bin, sign(bin + 0.5)::integer AS entries
                FROM unnest(latency_buckets) AS bin
            ) AS histogram), 0
        ) AS latencies
        FROM usage_delta
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3
        UNION ALL
        SELECT
            -1, account_id, tier, model, coalesce(provider, ''), coalesce(api_key, ''), failed, coalesce(currency, ''),
            count(*) FILTER (WHERE correction_of IS NULL),
            coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
            coalesce(sum(cache_read_tokens), 0), coalesce(sum(cache_write_tokens), 0),
            coalesce(sum(reasoning_tokens), 0),
            count(amount) FILTER (WHERE correction_of IS NULL), coalesce(sum(amount), 0),
            coalesce(sum(amount) FILTER (WHERE amount_source = 3), 0),
            coalesce(sum(1 + bin::bigint * 1000 + bin::bigint * bin * 1000000), 0)
        FROM call, LATERAL (
            SELECT CASE WHEN latency_ms IS NOT NULL THEN calledger_latency_bucket(latency_ms) END AS bin
        ) AS latency
        WHERE tier = $1 AND started_at >= $2 AND started_at < $3
        GROUP BY 2, 3, 4, 5, 6, 7, 8
    ), sides AS (
        {stored}
        UNION ALL
        SELECT store, both_have.* FROM both_have CROSS JOIN (
            SELECT unnest($4::text[]) AS store
            EXCEPT SELECT unnest(sums) FROM usage_unsummed WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3
        ) AS summed
    ), wrong AS (
        SELECT store, {key} FROM sides GROUP BY store, {key} HAVING NOT ({equal})
    )
    SELECT store, account_id, count(DISTINCT ({key})) AS keys,
           (sum(calls) FILTER (WHERE side = 1))::text AS calls_summed,
           (sum(calls) FILTER (WHERE side = -1))::text AS calls_stored,
           (sum(amount) FILTER (WHERE side = 1))::text AS amount_summed,
           (sum(amount) FILTER (WHERE side = -1))::text AS amount_stored
    FROM wrong JOIN sides USING (store, {key})
    GROUP BY store, account_id ORDER BY array_position($4::text[], store), account_id
"""
"""Days and keys of which rollups and deltas are not the sums of the calls."""
_STORES: Final = (Store.USAGE_QUARTER, Store.USAGE_DAY)
_STATEMENT: Final = _DIFFERENCES.format(
    key=_KEY,
    plain=_PLAIN,
    moments=_MOMENTS,
    equal=_EQUAL,
    stored="UNION ALL".join(
        _STORED.format(store=store.value, key=_KEY, plain=_PLAIN, moments=_MOMENTS) for store in _STORES
    ),
)


@dataclass(frozen=True, slots=True)
class UsageDifference:
    """One account and UTC day of which a rollup does not say what the calls say.

    `keys`: how many combinations of model, provider, key, status and currency differ. Counts and amounts (of all
    currencies, only to show the size of it) are those of the keys that differ; None: there is nothing on that side.
    """

    store: Store
    account_id: int
    tier: int
    day: datetime
    keys: int
    calls_summed: str | None
    calls_stored: str | None
    amount_summed: str | None
    amount_stored: str | None


async def check_usage(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[UsageDifference]:
    """Compare every UTC day (of `tier_days`) of which all calls are still there, and none in files, day by day:
    memory does not grow with the calls.

    Later days than tomorrow are compared at once. Nothing is yielded when everything is right.
    """
    now: datetime = await owner.fetchval("SELECT now()")
    frozen = await FrozenTimes.read(owner)
    chosen = await every_day(owner, now) if tier_days is None else tier_days
    for tier, start, end in within(chosen, policy, Store.CALL, now, DAY):
        if frozen.touch(tier, start, end):
            continue
        rows = await fetch_differences(owner, _STATEMENT, tier, start, end, [store.value for store in _STORES])
        if rows and (await FrozenTimes.read(owner)).touch(tier, start, end):
            continue  # the calls have moved since
        for row in rows:
            yield UsageDifference(Store(row["store"]), row["account_id"], tier, start, *row[2:])
