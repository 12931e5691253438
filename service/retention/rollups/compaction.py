"""Compaction: adds the usage deltas that every batch of calls appends to the rollups.

Readers add deltas and rollups in one statement, so it does not matter to them when a delta is compacted: that is one
statement, and either all of it is visible or nothing. After a crash the sums are as they were.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Final

import asyncpg

from policies.policy.model import Store
from service.logs import get_logger
from service.retention.rollups.tag_sums import compact_tags
from service.retention.rollups.totals import DERIVED_SUMS, added
from service.storage.statements.unsummed import is_unsummed

log = get_logger()

COMPACT_ROWS: Final = 50_000
"""How many deltas one transaction compacts at most."""

LOCK: Final = 0x63616C6C_0003
"""The advisory lock under which rollups are changed."""

_PAUSE_MAX_S: Final = 60.0

Need = tuple[Store, int, datetime]
Ensure = Callable[[Iterable[Need]], Awaitable[None]]

_KEY = "account_id, tier, model, provider, api_key, failed, currency"
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_SUMS = ("calls", *_TOKENS, "priced", "amount", "estimated")
_ALL_SUMS = ", ".join(_SUMS)
_SUMMED = ", ".join(
    f"sum({name}) AS {name}" if name in ("amount", "estimated") else f"sum({name})::bigint AS {name}" for name in _SUMS
)


def grouped(name: str, bucket: str, rows: str, histogram: str) -> str:
    """The CTE `name`: `rows` by key and `bucket`, as a rollup has them. `histogram` gives a row's bins and entries."""
    return f"""
    {name}_bins AS (
        SELECT {bucket} AS bucket_at, {_KEY}, bin, sum(entries)::bigint AS entries
        FROM {rows}, {histogram} AS histogram (bin, entries) GROUP BY 1, {_KEY}, bin
    ), {name} AS (
        SELECT
            bucket_at, {_KEY}, {_ALL_SUMS}, coalesce(latency_buckets, '{{}}') AS latency_buckets,
            coalesce(latency_counts, '{{}}') AS latency_counts
        FROM (SELECT {bucket} AS bucket_at, {_KEY}, {_SUMMED} FROM {rows} GROUP BY 1, {_KEY}) AS sums
        LEFT JOIN (
            SELECT bucket_at, {_KEY}, array_agg(bin ORDER BY bin) AS latency_buckets,
                   array_agg(entries ORDER BY bin) AS latency_counts
            FROM {name}_bins GROUP BY bucket_at, {_KEY}
        ) AS histograms USING (bucket_at, {_KEY})
    )"""  # noqa: S608 - names of our own


def merged(table: str, rows: str) -> str:
    """A CTE that adds `rows`, in which no key is twice, to `table`."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMS)
    return f"""
    {table}_done AS (
        INSERT INTO {table} (bucket_at, {_KEY}, {_ALL_SUMS}, latency_buckets, latency_counts)
        SELECT bucket_at, {_KEY}, {_ALL_SUMS}, latency_buckets, latency_counts FROM {rows}
        ON CONFLICT (account_id, tier, bucket_at, model, provider, api_key, failed, currency) DO UPDATE
        SET {added}, (latency_buckets, latency_counts) = (
            SELECT coalesce(array_agg(bin ORDER BY bin), '{{}}'), coalesce(array_agg(entries ORDER BY bin), '{{}}')
            FROM (
                SELECT bin, sum(entries)::bigint AS entries
                FROM (
                    SELECT unnest({table}.latency_buckets), unnest({table}.latency_counts)
                    UNION ALL SELECT unnest(excluded.latency_buckets), unnest(excluded.latency_counts)
                ) both_sides (bin, entries)
                GROUP BY bin
            ) merged
        )
    )"""  # noqa: S608 - names of our own


# A delta has one histogram entry per call, unsorted, and negative (-1 for bucket 0) for one that is subtracted; a
# rollup has sorted buckets and their counts.
OF_DELTAS: Final = """LATERAL (
    SELECT greatest(bin, -1 - bin)::smallint, sign(bin + 0.5)::integer FROM unnest(latency_buckets) AS bin
)"""
OF_ROLLUPS: Final = "unnest(latency_buckets, latency_counts)"


def summed_rows(table: str, rows: str) -> str:
    """The `rows`, a CTE with a rollup's columns, of days of which `table` has sums, as a relation."""
    return f"(SELECT * FROM {rows} WHERE NOT {is_unsummed(table)}) AS summed_rows"  # noqa: S608


_DERIVED = ",".join(
    added(sums, summed_rows(sums.table, "quarters")) for resting in DERIVED_SUMS.values() for sums in resting
)
_COMPACT: Final = f"""
    WITH gone AS (
        DELETE FROM usage_delta
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_delta LIMIT $1))
        RETURNING bucket_at, {_KEY}, {_ALL_SUMS}, latency_buckets
    ), {grouped("quarters", "bucket_at", "gone", OF_DELTAS)},
    {grouped("days", "date_trunc('day', bucket_at, 'UTC')", "quarters", OF_ROLLUPS)},
    {merged("usage_quarter", summed_rows("usage_quarter", "quarters"))},
    {merged("usage_day", summed_rows("usage_day", "days"))}, {_DERIVED}
    SELECT count(*) FROM gone
"""  # noqa: S608 - names of our own


def regrouped(store: Store, column: str) -> str:
    """A statement that sets one column of a rollup's key to the value $4, in the time of a partition ($1, $2, $3)."""
    return _moved(store, column, f"{column} NOT IN ('', $4)")


def renamed(store: Store, column: str) -> str:
    """As `regrouped`, for the rows of the account $5 that have the value $6."""
    return _moved(store, column, f"account_id = $5 AND {column} = $6")


def _moved(store: Store, column: str, which: str) -> str:
    """A statement that sets one column of a rollup's key to the value $4, in the rows of a time that `which` names."""
    table = store.value
    key = _KEY.replace(column, f'$4::text COLLATE "C" AS {column}')
    moved = f"SELECT bucket_at, {key}, {_ALL_SUMS}, latency_buckets, latency_counts FROM gone"  # noqa: S608
    return f"""
        WITH gone AS (
            DELETE FROM {table} WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND {which}
            RETURNING *
        ), moved AS ({moved}), {grouped("joined", "bucket_at", "moved", OF_ROLLUPS)}, {merged(table, "joined")}
        SELECT count(*) FROM gone
    """  # noqa: S608 - names of our own


_DAYS_OF_DELTAS: Final = """
    SELECT tier, date_trunc('day', bucket_at, 'UTC') AS day FROM usage_delta
    UNION SELECT tier, date_trunc('day', bucket_at, 'UTC') FROM usage_tag_delta ORDER BY tier, day
"""
"""The days of which something waits to be summed."""


class Compaction:
    """Compacts the deltas of one database; needs the owner's connections.

    Any number may run, here and elsewhere: an advisory lock lets one work at a time. `ensure` makes partitions that are
    missing; without it a delta whose partition is gone stops the compaction with an error.
    """

    def __init__(self, owner: asyncpg.Pool, *, ensure: Ensure | None = None, rows: int = COMPACT_ROWS) -> None:
        self._owner = owner
        self._ensure = ensure
        self._rows = rows

    async def compact(self) -> int:
        """Compact at most `rows` deltas, and as many of tags, and return how many. 0 also when another process is
        compacting.
        """
        try:
            return await self._compact_once()
        except asyncpg.CheckViolationError:
            if self._ensure is None:
                raise
            await self._ensure(await self._needs())
            return await self._compact_once()

    async def compact_all(self) -> int:
        """Compact until no delta is left, or another process is compacting; returns how many deltas it were."""
        compacted = 0
        while count := await self.compact():
            compacted += count
        return compacted

    async def compact_for_ever(self, every_seconds: float = 5.0) -> None:
        """Compact in a loop until cancelled. Errors are logged, and tried again after a growing pause."""
        pause = every_seconds
        while True:
            try:
                compacted = await self.compact_all()
            except Exception as error:  # the loop must go on, or deltas would pile up
                pause = min(max(pause, 0.1) * 2, max(_PAUSE_MAX_S, every_seconds))
                log.warning("usage is not compacted", exc_info=error, again_in_s=round(pause, 1))
            else:
                pause = every_seconds
                log.debug("usage compacted", deltas=compacted)
            await asyncio.sleep(pause)

    async def _compact_once(self) -> int:
        async with self._owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
                return 0
            compacted = await connection.fetchval(_COMPACT, self._rows)
            return compacted + await compact_tags(connection, self._rows)

    async def _needs(self) -> list[Need]:
        rows = await self._owner.fetch(_DAYS_OF_DELTAS)
        return [(store, row["tier"], row["day"]) for row in rows for store in (Store.USAGE_QUARTER, Store.USAGE_DAY)]
