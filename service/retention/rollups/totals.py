"""Sums derived from a rollup: over all accounts, and by API key. Compaction adds to them, an erasure subtracts from
them, a purge deletes them, and fsck checks them.

Each statement changes rollup and derived sums together, so that no reader and no crash can see one without the other.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from policies.policy.model import Store
from policies.retention import Partition
from service.retention.rollups.tag_sums import purged_tags
from service.storage.connection import Connection

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_PLAIN: Final = ("calls", "errors", *_TOKENS, "priced", "amount", "estimated", "wasted")
_LATENCY: Final = "latency"
_COMPUTED: Final = {
    "errors": "coalesce(sum(calls) FILTER (WHERE failed), 0)",
    "wasted": "coalesce(sum(amount) FILTER (WHERE failed), 0)",
}
_SUMMED: Final = ", ".join(f"{_COMPUTED.get(name, f'sum({name})')} AS {name}" for name in _PLAIN)


class DerivedSums(NamedTuple):
    """A table of derived sums. `bucket`: the expression of its buckets over a rollup's rows; `key`: what else they are
    grouped by; `names`: what is summed.
    """

    table: str
    bucket: str
    key: str = "tier, model, provider, currency"
    names: tuple[str, ...] = (*_PLAIN, _LATENCY)


DERIVED_SUMS: Final[Mapping[Store, tuple[DerivedSums, ...]]] = {
    Store.USAGE_QUARTER: (
        DerivedSums("usage_quarter_all", "bucket_at"),
        DerivedSums("usage_hour_all", "date_trunc('hour', bucket_at, 'UTC')"),
        DerivedSums(
            "usage_half_hour",
            "date_bin('30 minutes', bucket_at, '1970-01-01 00:00:00+00')",
            "account_id, tier, api_key, currency",
            _PLAIN,
        ),
    ),
    Store.USAGE_DAY: (DerivedSums("usage_day_all", "date_trunc('day', bucket_at, 'UTC')"),),
}
"""The sums that are derived from each rollup; `service.storage.partitioning.sums` makes their partitions."""


def summed(sums: DerivedSums, rows: str) -> str:
    """A statement that computes the rows of `sums` from `rows`, a relation with a rollup's columns.

    A histogram is one number that has twelve digits for each of its buckets, so that it is added like the others.
    """
    plain = f"SELECT {sums.bucket} AS bucket_at, {sums.key}, {_SUMMED} FROM {rows} GROUP BY 1, {sums.key}"  # noqa: S608
    if _LATENCY not in sums.names:
        return plain
    return f"""
        SELECT bucket_at, {sums.key}, {", ".join(_PLAIN)}, coalesce(latency, 0) AS latency
        FROM ({plain}) AS plain
        LEFT JOIN (
            SELECT bucket_at, {sums.key}, sum(calledger_latency_sketch(bin, entries)) AS latency
            FROM (
                SELECT {sums.bucket} AS bucket_at, {sums.key}, bin, sum(entries) AS entries
                FROM {rows}, unnest(latency_buckets, latency_counts) AS histogram (bin, entries)
                GROUP BY 1, {sums.key}, bin
            ) AS bins
            GROUP BY bucket_at, {sums.key}
        ) AS histograms USING (bucket_at, {sums.key})
    """  # noqa: S608 - names of our own


def added(sums: DerivedSums, rows: str) -> str:
    """A CTE that adds `rows` to `sums`, ordered by time, so that rows of one time are stored together."""
    table = sums.table
    both = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums.names)
    return f"""
    {table}_done AS (
        INSERT INTO {table} (bucket_at, {sums.key}, {", ".join(sums.names)}) {summed(sums, rows)} ORDER BY bucket_at
        ON CONFLICT (bucket_at, {sums.key}) DO UPDATE SET {both}
    )"""


def subtracted(sums: DerivedSums, rows: str, part: tuple[str, str, str]) -> str:
    """A CTE that subtracts `rows` from `sums` in one partition: expressions of its tier, start and end. Sums of no
    calls stay as zeros until `delete_empty_sums`.
    """
    table = sums.table
    less = ", ".join(f"{name} = {table}.{name} - gone_sums.{name}" for name in sums.names)
    same = " AND ".join(f"{table}.{name} = gone_sums.{name}" for name in ("bucket_at", *sums.key.split(", ")))
    tier, start, end = part
    within = f"{table}.tier = {tier} AND {table}.bucket_at >= {start} AND {table}.bucket_at < {end}"
    return f"""
    {table}_done AS (
        UPDATE {table} SET {less} FROM ({summed(sums, rows)}) AS gone_sums WHERE {within} AND {same}
    )"""  # noqa: S608 - names of our own


def delete_with_sums(store: Store, delete: str, part: tuple[str, str, str]) -> str:
    """A DELETE of rows of any store in one partition (as `subtracted` has it) that also subtracts them from the sums
    derived from it; returns the number of rows.
    """
    ctes = [f"gone AS ({delete} RETURNING *)"]
    ctes += [subtracted(sums, "gone", part) for sums in DERIVED_SUMS.get(store, ())]
    return f"WITH {', '.join(ctes)} SELECT count(*) FROM gone"  # noqa: S608 - names of our own


# The times of corrections are kept as precisely, and for as long, as there are sums of that time. A bill that is
# reported again is recognised for as long as its sum exists.
_OTHERS_OF_TIME: Final[Mapping[Store, tuple[str, ...]]] = {
    Store.USAGE_QUARTER: (
        """
        UPDATE correction SET bucket_at = date_trunc('day', bucket_at, 'UTC')
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3
        """,
        """
        UPDATE correction SET own_bucket_at = date_trunc('day', own_bucket_at, 'UTC')
        WHERE own_tier = $1 AND own_bucket_at >= $2 AND own_bucket_at < $3
        """,
    ),
    # A change was recorded when its call had begun: what was recorded before the partition's end is of calls that go.
    Store.CALL: (
        """
        WITH gone AS (
            DELETE FROM call_change WHERE tier = $1 AND recorded_at < greatest($2::timestamptz, $3::timestamptz)
            RETURNING position
        )
        INSERT INTO change_floor AS floor (tier, position)
        SELECT $1::smallint, max(position) FROM gone HAVING count(*) > 0
        ON CONFLICT (tier) DO UPDATE SET position = greatest(floor.position, excluded.position)
        """,
        "DELETE FROM usage_unsummed WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3",
    ),
    Store.USAGE_DAY: (
        "DELETE FROM correction WHERE own_tier = $1 AND own_bucket_at >= $2 AND own_bucket_at < $3",
        "DELETE FROM bill_claim WHERE tier = $1 AND started_at >= $2 AND started_at < $3",
    ),
}
FORGET_ACCOUNT: Final = """
    WITH corrections AS (DELETE FROM correction WHERE account_id = $1),
    changes AS (DELETE FROM call_change WHERE account_id = $1),
    changes_new AS (DELETE FROM call_change_new WHERE account_id = $1)
    DELETE FROM bill_claim WHERE account_id = $1
"""
"""Deletes an account's corrections, bill claims and positions in the feed, which are neither calls nor sums."""


def derived_regrouped(store: Store, column: str) -> Iterator[str]:
    """Statements that set one key column of the derived sums to the value $4, in a partition's time ($1, $2, $3)."""
    for sums in DERIVED_SUMS.get(store, ()):
        names = sums.key.split(", ")
        if column not in names:
            continue
        key = ", ".join(f'$4::text COLLATE "C" AS {name}' if name == column else name for name in names)
        others = ", ".join(["bucket_at", *(name for name in names if name != column)])
        added_up = ", ".join(f"sum({name})" for name in sums.names)
        both = ", ".join(f"{name} = {sums.table}.{name} + excluded.{name}" for name in sums.names)
        yield f"""
            WITH gone AS (
                DELETE FROM {sums.table}
                WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND {column} NOT IN ('', $4)
                RETURNING *
            )
            INSERT INTO {sums.table} (bucket_at, {sums.key}, {", ".join(sums.names)})
            SELECT bucket_at, {key}, {added_up} FROM gone GROUP BY {others}
            ON CONFLICT (bucket_at, {sums.key}) DO UPDATE SET {both}
        """  # noqa: S608 - names of our own


async def delete_empty_sums(connection: Connection, part: Partition) -> None:
    """Delete the derived sums of the partition's time that no longer count a call."""
    for sums in DERIVED_SUMS.get(part.store, ()):
        await connection.execute(
            f"DELETE FROM {sums.table} WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND calls = 0",  # noqa: S608
            part.tier,
            part.start,
            part.end,
        )


async def delete_sums(connection: Connection, part: Partition) -> None:
    """Delete what else there is of the partition's time, in the transaction that drops it. Derived sums went before it,
    with partitions of their own.
    """
    for statement in (*_OTHERS_OF_TIME.get(part.store, ()), *purged_tags(part.store)):
        await connection.execute(statement, part.tier, part.start, part.end)
