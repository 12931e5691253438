"""Sums by tag, in half hours and UTC days, by account and over all accounts: made of deltas as rollups are.

A tag whose values are too many on a UTC day of an account (CROWDED_MIN) is not summed for that account and day, so that
sums stay few whatever clients report. The mark `usage_tag_crowded` says so, and single calls answer instead.
Everything here wants the lock of compaction.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.storage.connection import Connection, affected
from service.storage.statements.tag_deltas import tag_deltas_of
from service.storage.statements.unsummed import is_unsummed

CROWDED_MIN: Final = 1_000
"""More values of a tag than so many, of an account on a UTC day, are not summed."""
COMPACT_ROWS: Final = 50_000
"""How many deltas one transaction takes at most."""

PLAIN: Final = (
    "calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "priced", "amount", "estimated", "wasted",
)  # fmt: skip
NAMES: Final = (*PLAIN, "latency")
"""What is summed. A histogram is one number, twelve digits for each of its buckets."""
_ONE_DAY: Final = timedelta(days=1)
_ALL: Final = "tier, tag_key, tag_value, currency"
_BY_ACCOUNT: Final = f"account_id, {_ALL}"
_DAY: Final = "date_trunc('day', bucket_at, 'UTC')"
_LISTED: Final = ", ".join(NAMES)
_SUMMED: Final = ", ".join(f"sum({name}) AS {name}" for name in NAMES)
TABLES: Final[Mapping[Store, tuple[str, str]]] = {
    Store.USAGE_QUARTER: ("usage_tag_half_hour", "usage_tag_half_hour_all"),
    Store.USAGE_DAY: ("usage_tag_day", "usage_tag_day_all"),
}
"""The sums by account and over all of them, by the rollup whose window they have."""
BY_ACCOUNT: Final = tuple(table for table, _ in TABLES.values())
EVERY_TABLE: Final = tuple(table for both in TABLES.values() for table in both)
SKETCHED: Final = """coalesce((
    SELECT sum(calledger_latency_sketch(bin, entries)) FROM (
        SELECT greatest(bin, -1 - bin)::smallint AS bin, sum(sign(bin + 0.5)) AS entries
        FROM unnest(latency_buckets) AS bin GROUP BY 1
    ) AS binned
), 0)"""
"""The latencies of a delta as the sums have them."""


def _added(table: str, bucket: str, key: str, rows: str) -> str:
    """A CTE that adds `rows` to a table, ordered by time, so that rows of one time are stored together."""
    both = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in NAMES)
    return f"""
    {table}_done AS (
        INSERT INTO {table} (bucket_at, {key}, {_LISTED})
        SELECT {bucket} AS bucket_at, {key}, {_SUMMED} FROM {rows} GROUP BY 1, {key} ORDER BY 1
        ON CONFLICT (bucket_at, {key}) DO UPDATE SET {both}
        RETURNING bucket_at, {key}
    )"""  # noqa: S608 - names of our own


def _summed_rows(table: str) -> str:
    """What is of days of which `table` has sums, as a relation."""
    return f"(SELECT * FROM summed WHERE NOT {is_unsummed(table)}) AS summed_rows"  # noqa: S608


# The latencies are added up before they become numbers: of thousands of deltas each has a few.
_COMPACT: Final = f"""
    WITH gone AS (
        DELETE FROM usage_tag_delta
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_tag_delta WHERE true LIMIT $1))
        RETURNING *
    ), kept AS (
        SELECT * FROM gone WHERE NOT EXISTS (
            SELECT FROM usage_tag_crowded AS crowded
            WHERE crowded.account_id = gone.account_id AND crowded.tier = gone.tier
                AND crowded.tag_key = gone.tag_key AND crowded.day = date_trunc('day', gone.bucket_at, 'UTC')
        )
    ), sketches AS (
        SELECT bucket_at, {_BY_ACCOUNT}, sum(calledger_latency_sketch(bin, entries)) AS latency
        FROM (
            SELECT bucket_at, {_BY_ACCOUNT}, greatest(bin, -1 - bin)::smallint AS bin, sum(sign(bin + 0.5)) AS entries
            FROM kept, unnest(latency_buckets) AS bin GROUP BY bucket_at, {_BY_ACCOUNT}, 7
        ) AS binned GROUP BY bucket_at, {_BY_ACCOUNT}
    ), summed AS (
        SELECT bucket_at, {_BY_ACCOUNT}, {", ".join(PLAIN)}, coalesce(latency, 0) AS latency
        FROM (
            SELECT bucket_at, {_BY_ACCOUNT}, {", ".join(f"sum({name}) AS {name}" for name in PLAIN)}
            FROM kept GROUP BY bucket_at, {_BY_ACCOUNT}
        ) AS plain LEFT JOIN sketches USING (bucket_at, {_BY_ACCOUNT})
    ), {_added("usage_tag_half_hour", "bucket_at", _BY_ACCOUNT, _summed_rows("usage_tag_half_hour"))},
    {_added("usage_tag_half_hour_all", "bucket_at", _ALL, _summed_rows("usage_tag_half_hour_all"))},
    {_added("usage_tag_day", _DAY, _BY_ACCOUNT, _summed_rows("usage_tag_day"))},
    {_added("usage_tag_day_all", _DAY, _ALL, _summed_rows("usage_tag_day_all"))}
    SELECT deltas, account_id, tier, tag_key, bucket_at AS day
    FROM (SELECT count(*) AS deltas FROM gone) AS counted
    LEFT JOIN (SELECT DISTINCT account_id, tier, tag_key, bucket_at FROM usage_tag_day_done) AS days ON true
"""  # noqa: S608 - names of our own
"""Compacts deltas; how many, and the days of accounts and tags that have more now."""
_COMPACT_DAY: Final = _COMPACT.replace(
    "WHERE true", "WHERE tier = $2 AND bucket_at >= $3 AND bucket_at < $3::timestamptz + interval '1 day'"
)
"""The same of a UTC day of a tier."""
# The bounds of the time choose the partitions.
_CROWDED: Final = """
    SELECT account_id, tag_key, day
    FROM unnest($4::integer[], $5::text[], $6::timestamptz[]) AS found (account_id, tag_key, day)
    WHERE (
        SELECT count(DISTINCT tag_value) FROM usage_tag_day AS sums
        WHERE sums.tier = $1 AND sums.bucket_at >= $2 AND sums.bucket_at <= $3 AND sums.bucket_at = found.day
            AND sums.account_id = found.account_id AND sums.tag_key = found.tag_key
    ) > $7
"""
"""Which of these days of accounts of a tier have too many values of a tag."""
_MARK: Final = "INSERT INTO usage_tag_crowded (account_id, tier, tag_key, day) VALUES ($1, $2, $3, $4)"
_OF_DAY: Final = (
    "account_id = $1 AND tier = $2 AND tag_key = $3 AND bucket_at >= $4 AND bucket_at < $4 + interval '1 day'"
)
_FORGET_DAY: Final = tuple(f"DELETE FROM {table} WHERE {_OF_DAY}" for table in BY_ACCOUNT)  # noqa: S608
_OF_TIME: Final = "tier = $1 AND bucket_at >= $2 AND bucket_at < $3"
_SOME_TAGS: Final = f"{_OF_TIME} AND tag_key = ANY ($4::text[])"
_DERIVE: Final = tuple(
    statement
    for by_account, over_all in TABLES.values()
    for statement in (
        f"DELETE FROM {over_all} WHERE {_SOME_TAGS} AND NOT {is_unsummed(by_account)}",  # noqa: S608
        f"""
        INSERT INTO {over_all} (bucket_at, {_ALL}, {_LISTED}) SELECT bucket_at, {_ALL}, {_SUMMED}
        FROM {by_account} WHERE {_SOME_TAGS} AND NOT {is_unsummed(over_all)}
        GROUP BY bucket_at, {_ALL} ORDER BY bucket_at
        """,  # noqa: S608
    )
)
_LEAVE: Final = tuple(
    f"""
    WITH noted AS (
        UPDATE usage_unsummed
        SET sums = ARRAY(SELECT name FROM unnest(sums || ARRAY['{over_all}']) AS name ORDER BY name)
        WHERE of_tier = $1 AND of_day = $2 AND '{by_account}' = ANY (sums) AND '{over_all}' <> ALL (sums)
        RETURNING of_day
    )
    DELETE FROM {over_all}
    WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $2 + interval '1 day' AND EXISTS (SELECT FROM noted)
    """  # noqa: S608
    for by_account, over_all in TABLES.values()
)
"""Leaves sums over all accounts of a UTC day to its calls where there are none by account to derive them from."""
_GONE: Final = ",\n".join(
    f"{table}_gone AS (DELETE FROM {table} WHERE {_SOME_TAGS})"  # noqa: S608
    for table in (*EVERY_TABLE, "usage_tag_delta")
)
_CALLS: Final = """(
    SELECT * FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3 AND account_id <> ALL (
        ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT')
    )
) AS kept"""
# One statement has one snapshot: a call that commits meanwhile is not summed, and its delta is not deleted.
_REMAKE: Final = f"""
    WITH {_GONE},
    crowded_gone AS (
        DELETE FROM usage_tag_crowded WHERE tier = $1 AND day >= $2 AND day < $3 AND tag_key = ANY ($4::text[])
    )
    {tag_deltas_of(_CALLS, corrections=True, chosen="tag_key = ANY ($4::text[])")}
"""  # noqa: S608
"""Deletes the sums of some tags in the UTC days of a tier, and makes deltas of the calls."""
_LESS: Final = ", ".join(f"{name} = sums.{name} - gone_sums.{name}" for name in NAMES)
_SAME: Final = " AND ".join(f"sums.{name} = gone_sums.{name}" for name in ("bucket_at", *_ALL.split(", ")))
_NOTHING_LEFT: Final = " AND ".join(f"{name} = 0" for name in NAMES)
_FORGET_WAITING: Final = (
    "DELETE FROM usage_tag_delta WHERE account_id = $1",
    "DELETE FROM usage_tag_crowded WHERE account_id = $1",
)
_FORGET_ACCOUNT: Final = {
    store: f"""
        WITH gone AS (DELETE FROM {by_account} WHERE {_OF_TIME} AND account_id = $4 RETURNING *), gone_sums AS (
            SELECT bucket_at, {_ALL}, {_SUMMED} FROM gone GROUP BY bucket_at, {_ALL}
        )
        UPDATE {over_all} AS sums SET {_LESS} FROM gone_sums
        WHERE sums.tier = $1 AND sums.bucket_at >= $2 AND sums.bucket_at < $3 AND {_SAME}
    """  # noqa: S608
    for store, (by_account, over_all) in TABLES.items()
}
_FORGET_EMPTY: Final = {
    store: f"DELETE FROM {over_all} WHERE {_OF_TIME} AND {_NOTHING_LEFT}"  # noqa: S608
    for store, (_, over_all) in TABLES.items()
}


async def compact_tags(connection: Connection, rows: int, *, crowded_min: int = CROWDED_MIN) -> int:
    """Compact at most `rows` deltas in the transaction of `connection`; how many."""
    return await _compacted(connection, await connection.fetch(_COMPACT, rows), crowded_min)


async def compact_tags_of_day(connection: Connection, tier: int, day: datetime) -> None:
    """Compact the deltas of a UTC day: others may wait for partitions that are not made yet."""
    while await _compacted(connection, await connection.fetch(_COMPACT_DAY, COMPACT_ROWS, tier, day), CROWDED_MIN):
        pass


async def _compacted(connection: Connection, found: Sequence[asyncpg.Record], crowded_min: int) -> int:
    """See to the values that a compaction has found to be too many; how many deltas it has compacted."""
    days = defaultdict[int, list[tuple[int, str, datetime]]](list)
    for row in found:
        if row["account_id"] is not None:
            days[row["tier"]].append((row["account_id"], row["tag_key"], row["day"]))
    for tier, of_tier in days.items():
        accounts, keys, moments = (list(column) for column in zip(*of_tier, strict=True))
        values = (tier, min(moments), max(moments), accounts, keys, moments, crowded_min)
        for account, key, day in await connection.fetch(_CROWDED, *values):
            await connection.execute(_MARK, account, tier, key, day)
            for statement in _FORGET_DAY:
                await connection.execute(statement, account, tier, key, day)
            await derive_tags(connection, tier, day, [key])
            for statement in _LEAVE:
                await connection.execute(statement, tier, day)
    return found[0]["deltas"]


async def derive_tags(connection: Connection, tier: int, day: datetime, keys: list[str]) -> None:
    """Make the sums over all accounts of one UTC day and some tags anew from those by account, if it has any."""
    for statement in _DERIVE:
        await connection.execute(statement, tier, day, day + _ONE_DAY, keys)


async def remake_tags(connection: Connection, tier: int, start: datetime, end: datetime, keys: list[str]) -> None:
    """Make the sums of some tags anew from the calls of a tier, between two UTC midnights."""
    await connection.execute(_REMAKE, tier, start, end, keys)


async def forget_waiting_tags(connection: Connection, account: int) -> None:
    """Delete what of an account waits to be summed by tag, and its marks."""
    for statement in _FORGET_WAITING:
        await connection.execute(statement, account)


async def forget_account_tags(connection: Connection, part: Partition, account: int) -> None:
    """Delete what is summed by tag of an account in the time of a rollup's partition."""
    of_time = part.tier, part.start, part.end
    if affected(await connection.execute(_FORGET_ACCOUNT[part.store], *of_time, account)):
        await connection.execute(_FORGET_EMPTY[part.store], *of_time)
