"""A check that sums by tag are those of the calls that carry the tags, and that those over all accounts add up those by
account. Part of fsck.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString

import asyncpg

from policies.policy.model import Policy, Store
from service.query.buckets.tier_days import DAY, TierDays, every_day, midnight_after, within
from service.retention.rollups.tag_sums import NAMES, PLAIN, SKETCHED, TABLES
from service.storage.citus.settling import fetch_differences
from service.storage.cold.catalogue import FrozenTimes
from service.storage.statements.tag_deltas import tag_rows_of
from service.storage.statements.unsummed import is_unsummed

_STRIDE: Final = timedelta(days=28)
"""The time of which one statement compares sums with sums."""
_KEY: Final = "account_id, tier, tag_key, tag_value, currency"
_KEY_OF_ALL: Final = _KEY.removeprefix("account_id, ")
_LISTED: Final = ", ".join(PLAIN)
_EQUAL: Final = " AND ".join(f"sum(side * {name}) = 0" for name in NAMES)
_WHERE: Final = "tier = $1 AND bucket_at >= $2 AND bucket_at < $3"
_CALLS: Final[LiteralString] = "(SELECT * FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3) AS kept"
_MADE: Final = tag_rows_of(_CALLS, corrections=True, chosen="tag_key = ANY ($4::text[])")


def _of_all_of_calls(by_account: str, over_all: str) -> str:
    """Of a day of which there are no sums by account, those over all accounts are compared with the calls."""
    return f"""
        UNION ALL SELECT '{over_all}', 1, bucket_at, 0, {_KEY_OF_ALL}, {_LISTED}, latency
        FROM {over_all} WHERE {_WHERE} AND tag_key = ANY ($4::text[])
            AND '{by_account}' IN (SELECT name FROM unsummed) AND '{over_all}' NOT IN (SELECT name FROM unsummed)
    """  # noqa: S608 - names of our own


# Every side is read in one statement, so that neither a compaction nor a writer can come between them.
_DIFFERENCES: Final = f"""
    WITH both_have AS MATERIALIZED (
        SELECT 1 AS side, bucket_at, {_KEY}, {_LISTED}, {SKETCHED} AS latency
        FROM usage_tag_delta WHERE {_WHERE} AND tag_key = ANY ($4::text[])
        UNION ALL
        SELECT -1, bucket_at, {_KEY}, {_LISTED}, {SKETCHED} FROM ({_MADE}) AS made
    ), kept AS (
        SELECT * FROM both_have WHERE NOT EXISTS (
            SELECT FROM usage_tag_crowded AS crowded
            WHERE crowded.account_id = both_have.account_id AND crowded.tier = both_have.tier
                AND crowded.tag_key = both_have.tag_key AND crowded.day = date_trunc('day', bucket_at, 'UTC')
        )
    ), sides AS (
        SELECT 'usage_tag_half_hour' AS name, * FROM kept
        UNION ALL SELECT 'usage_tag_day', side, date_trunc('day', bucket_at, 'UTC'), {_KEY}, {_LISTED}, latency
        FROM kept
        UNION ALL SELECT 'usage_tag_half_hour', 1, bucket_at, {_KEY}, {_LISTED}, latency
        FROM usage_tag_half_hour WHERE {_WHERE} AND tag_key = ANY ($4::text[])
        UNION ALL SELECT 'usage_tag_day', 1, bucket_at, {_KEY}, {_LISTED}, latency
        FROM usage_tag_day WHERE {_WHERE} AND tag_key = ANY ($4::text[])
    ), unsummed AS MATERIALIZED (
        SELECT unnest(sums) AS name FROM usage_unsummed WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3
    ), asked AS (
        SELECT * FROM sides WHERE name NOT IN (SELECT name FROM unsummed) AND account_id <> ALL (
            ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL)
        )
        UNION ALL SELECT name || '_all', side, bucket_at, 0, {_KEY_OF_ALL}, {_LISTED}, latency
        FROM sides
        WHERE name IN (SELECT name FROM unsummed) AND name || '_all' NOT IN (SELECT name FROM unsummed)
        {" ".join(_of_all_of_calls(*tables) for tables in TABLES.values())}
    ), wrong AS (
        SELECT name FROM asked
        GROUP BY name, bucket_at, {_KEY} HAVING NOT ({_EQUAL})
    )
    SELECT name, count(*) AS keys FROM wrong GROUP BY name ORDER BY name
"""  # noqa: S608 - names of our own
"""How many sums by tag of a UTC day are not those of the calls."""


def _of_all(by_account: str, over_all: str) -> str:
    """The UTC days on which sums over all accounts are not those by account."""
    key = _KEY_OF_ALL
    return f"""
        WITH sides AS (
            SELECT 1 AS side, bucket_at, {key}, {_LISTED}, latency FROM {over_all}
            WHERE {_WHERE} AND NOT {is_unsummed(by_account)}
            UNION ALL SELECT -1, bucket_at, {key}, {_LISTED}, latency FROM {by_account}
            WHERE {_WHERE} AND NOT {is_unsummed(over_all)}
        ), wrong AS (
            SELECT bucket_at FROM sides GROUP BY bucket_at, {key} HAVING NOT ({_EQUAL})
        )
        SELECT date_trunc('day', bucket_at, 'UTC') AS day, count(*) AS keys FROM wrong GROUP BY 1 ORDER BY 1
    """  # noqa: S608 - names of our own


_OF_ALL: Final = {(store, tables[1]): _of_all(*tables) for store, tables in TABLES.items()}
_SUMMED: Final = "SELECT tag_key, summed_from FROM usage_tag_key WHERE unlisted_at IS NULL AND summed_from IS NOT NULL"
"""The tags of which there are sums, and since when."""


@dataclass(frozen=True, slots=True)
class TagDifference:
    """A UTC day of a tier on which `keys` sums by tag are wrong."""

    table: str
    tier: int
    day: datetime
    keys: int


async def summed_since(owner: asyncpg.Pool) -> dict[str, datetime]:
    """The tags of which there are sums, and the midnight (UTC) since which all calls are in them."""
    return {row["tag_key"]: midnight_after(row["summed_from"]) for row in await owner.fetch(_SUMMED)}


async def check_tags(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[TagDifference]:
    """Compare every UTC day (of `tier_days`) of which all calls are still there, and none in files, day by day, for
    the tags that are summed by then.

    Later days than tomorrow are compared at once. Nothing is yielded when everything is right.
    """
    now: datetime = await owner.fetchval("SELECT now()")
    since, frozen = await summed_since(owner), await FrozenTimes.read(owner)
    chosen = await every_day(owner, now) if tier_days is None else tier_days
    for tier, day, end in within(chosen, policy, Store.CALL, now, DAY):
        keys = sorted(key for key, begin in since.items() if begin <= day)
        if not keys or frozen.touch(tier, day, end):
            continue
        rows = await fetch_differences(owner, _DIFFERENCES, tier, day, end, keys)
        if rows and (await FrozenTimes.read(owner)).touch(tier, day, end):
            continue  # the calls have moved since
        for row in rows:
            yield TagDifference(row["name"], tier, day, row["keys"])


async def check_tags_of_all(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[TagDifference]:
    """Compare the sums over all accounts with those by account, within their windows (of `tier_days`)."""
    now: datetime = await owner.fetchval("SELECT now()")
    chosen = await every_day(owner, now) if tier_days is None else list(tier_days)
    for (store, table), statement in _OF_ALL.items():
        for tier, start, end in within(chosen, policy, store, now, _STRIDE):
            for row in await owner.fetch(statement, tier, start, end):
                yield TagDifference(table, tier, row["day"], row["keys"])
