"""Sums over all accounts of a tier, kept in step with the rollups: added to by the folder, taken from by an erasure,
forgotten by the purge, and proved by fsck.

Each statement changes rollup and sums together, so that no reader and no crash can come between them.
"""

from typing import Final

import asyncpg

from policies.model import Store
from policies.retention import Partition

KEY: Final = "tier, model, provider, currency"
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_PLAIN: Final = ("calls", "errors", *_TOKENS, "priced", "amount", "estimated", "wasted")
SUMS: Final = (*_PLAIN, "latency")
LISTED: Final = ", ".join(SUMS)
_WORKED_OUT: Final = {
    "errors": "coalesce(sum(calls) FILTER (WHERE failed), 0)",
    "wasted": "coalesce(sum(amount) FILTER (WHERE failed), 0)",
}
_SUMMED: Final = ", ".join(f"{_WORKED_OUT.get(name, f'sum({name})')} AS {name}" for name in _PLAIN)

BUCKETS: Final = {
    Store.USAGE_QUARTER: {
        "usage_quarter_all": "bucket_at",
        "usage_hour_all": "date_trunc('hour', bucket_at, 'UTC')",
    },
    Store.USAGE_DAY: {"usage_day_all": "date_trunc('day', bucket_at, 'UTC')"},
}
"""Rollup -> the sums that rest on it, and their buckets over those of a rollup or a delta."""


def summed(bucket: str, rows: str) -> str:
    """The sums of `rows` (a relation with a rollup's columns) for their own `bucket`, by key.

    A histogram is one number that has twelve digits for each of its buckets, so that it is added up like the others.
    """
    return f"""
        SELECT bucket_at, {KEY}, {", ".join(_PLAIN)}, coalesce(latency, 0) AS latency
        FROM (SELECT {bucket} AS bucket_at, {KEY}, {_SUMMED} FROM {rows} GROUP BY 1, {KEY}) AS plain
        LEFT JOIN (
            SELECT bucket_at, {KEY}, sum(calledger_latency_sketch(bin, entries)) AS latency
            FROM (
                SELECT {bucket} AS bucket_at, {KEY}, bin, sum(entries) AS entries
                FROM {rows}, unnest(latency_buckets, latency_counts) AS histogram (bin, entries)
                GROUP BY 1, {KEY}, bin
            ) AS bins
            GROUP BY bucket_at, {KEY}
        ) AS histograms USING (bucket_at, {KEY})
    """  # noqa: S608 - names of our own


def added(table: str, bucket: str, rows: str) -> str:
    """A CTE that adds `rows` to the sums of `table`; as `summed` has them."""
    both = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return f"""
    {table}_done AS (
        INSERT INTO {table} (bucket_at, {KEY}, {LISTED}) {summed(bucket, rows)}
        ON CONFLICT (tier, bucket_at, model, provider, currency) DO UPDATE SET {both}
    )"""


def taken(table: str, bucket: str, rows: str) -> str:
    """A CTE that takes `rows` from the sums of `table`; what is left of nothing stays as zeros until `forget_empty`."""
    less = ", ".join(f"{name} = {table}.{name} - gone_sums.{name}" for name in SUMS)
    return f"""
    {table}_done AS (
        UPDATE {table} SET {less}
        FROM ({summed(bucket, rows)}) AS gone_sums
        WHERE ({table}.bucket_at, {table}.tier, {table}.model, {table}.provider, {table}.currency)
            = (gone_sums.bucket_at, gone_sums.tier, gone_sums.model, gone_sums.provider, gone_sums.currency)
    )"""  # noqa: S608 - names of our own


def take_with(store: Store, delete: str) -> str:
    """A DELETE of rows of any store that also takes them from the sums that rest on it: how many rows it were."""
    ctes = [f"gone AS ({delete} RETURNING *)"]
    ctes += [taken(table, bucket, "gone") for table, bucket in BUCKETS.get(store, {}).items()]
    return f"WITH {', '.join(ctes)} SELECT count(*) FROM gone"  # noqa: S608 - names of our own


async def forget_empty(connection: asyncpg.Connection, part: Partition) -> None:
    """Delete the sums of the partition's time of which nothing is left."""
    await _delete(connection, part, "AND calls = 0")


async def forget_sums(connection: asyncpg.Connection, part: Partition) -> None:
    """Delete the sums of the partition's time, as the partition itself goes."""
    await _delete(connection, part, "")


async def _delete(connection: asyncpg.Connection, part: Partition, which: str) -> None:
    for table in BUCKETS.get(part.store, ()):
        await connection.execute(
            f"DELETE FROM {table} WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 {which}",  # noqa: S608
            part.tier,
            part.start,
            part.end,
        )
