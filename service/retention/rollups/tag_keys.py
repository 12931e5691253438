"""Which tags are summed: those that the policy lets costs be grouped by, and since when.

A tag that the policy adds is summed from the current UTC day on: first every writer is made to know it, then the day's
calls are summed, and only then do sums answer. What was before is summed by `calledger rebuild-sums`. A tag that the
policy no longer lists answers nothing at once, and its sums are deleted once the purge delay is over: until then a
policy that lists it again has lost nothing.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from policies.retention import cutoff
from service.logs import get_logger
from service.query.usage.plan import ceil_to
from service.retention.context import RetentionContext
from service.retention.purge_runs import Runs
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.tag_sums import EVERY_TABLE, remake_tags
from service.storage.citus.settling import settle
from service.storage.cold.catalogue import LOCK as COLD_LOCK
from service.storage.cold.catalogue import FrozenTimes
from service.storage.connection import Connection
from service.storage.statements.tag_deltas import TAGS_LOCK

log = get_logger()

EVERY_S: Final = 5.0
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
NOTHING_MOVES: Final = "SELECT pg_advisory_xact_lock_shared($1)"
"""Keep calls from moving to files until the transaction ends."""
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
_KEYS: Final = "SELECT tag_key, summed_from, unlisted_at FROM usage_tag_key ORDER BY tag_key"
"""The tags that are summed, or are to be."""
# They wait for the writers that do not know the tag, and those that come wait for the commit: a moment for each.
_WAIT_FOR_WRITERS: Final = "LOCK TABLE usage_tag_delta IN SHARE MODE"
_ADD: Final = "INSERT INTO usage_tag_key (tag_key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
"""Sum by these tags from now on."""
_UNLIST: Final = """
    UPDATE usage_tag_key SET unlisted_at = CASE WHEN tag_key = ANY ($1::text[]) THEN NULL ELSE now() END
    WHERE (unlisted_at IS NULL) <> (tag_key = ANY ($1::text[]))
"""
"""Note which tags the policy lists, and since when it does not."""
_SINCE: Final = "UPDATE usage_tag_key SET summed_from = $2 WHERE tag_key = ANY ($1::text[])"
"""Say from when tags are summed."""
# By itself: as a condition of the update, Citus takes calls that are nowhere for an update of nothing.
_BEFORE: Final = """
    SELECT EXISTS (SELECT 1 FROM call WHERE started_at < $1) OR EXISTS (SELECT 1 FROM usage_day WHERE bucket_at < $1)
"""
"""Whether there were calls before a moment."""
_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE tag_key = ANY ($1::text[])"  # noqa: S608 - names of our own
    for table in (*EVERY_TABLE, "usage_tag_crowded")
)
_FORGET_LAST: Final = tuple(
    f"DELETE FROM {table} WHERE tag_key = ANY ($1::text[])"  # noqa: S608
    for table in ("usage_tag_delta", "usage_tag_key")
)


async def keep_tags_for_ever(context: RetentionContext, every_s: float = EVERY_S) -> None:
    """Do what `keep_tags` does in a loop until cancelled. Errors are logged, and it is tried again."""
    while True:
        try:
            await keep_tags(context)
        except Exception as error:  # the loop must go on, or tags would be summed by an older policy
            log.warning("the tags that are summed are not the policy's", exc_info=error, again_in_s=every_s)
        await asyncio.sleep(every_s)


async def keep_tags(context: RetentionContext) -> None:
    """See to it that the tags of the policy in force are summed, and note which it no longer lists."""
    owner, listed = context.owner, context.policy().summed_tags
    rows = await owner.fetch(_KEYS)
    if missing := sorted(listed - {row["tag_key"] for row in rows}):
        await _add(owner, missing)
    if any((row["unlisted_at"] is None) != (row["tag_key"] in listed) for row in rows):
        await owner.execute(_UNLIST, sorted(listed))
    if begun := sorted({*missing, *(row["tag_key"] for row in rows if row["summed_from"] is None)} & listed):
        await _sum_today(owner, begun)


async def forget_unlisted(context: RetentionContext) -> None:
    """Delete the sums of tags that the policy has not listed for as long as the purge delay. Nothing is deleted while
    the clock is not trusted.
    """
    now = await context.now()
    if await Runs(context.owner).clock_is_untrusted(now):
        return
    rows = await context.owner.fetch(_KEYS)
    due = [row["tag_key"] for row in rows if row["unlisted_at"] and row["unlisted_at"] + context.purge_delay <= now]
    await forget_tags(context.owner, sorted(set(due) - context.policy().summed_tags))


async def forget_tags(owner: asyncpg.Pool, keys: Collection[str] | None = None) -> None:
    """Delete the sums of some tags, or of all (None). A tag that the policy lists begins anew."""
    chosen = [row["tag_key"] for row in await owner.fetch(_KEYS)] if keys is None else list(keys)
    if not chosen:
        return
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(_LOCK, COMPACTION_LOCK)
        for statement in _FORGET:
            await connection.execute(statement, chosen)
        # Writers that know the tags still are waited for last, and so for a moment.
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.execute(_LOCK, TAGS_LOCK)
        await connection.execute(_WAIT_FOR_WRITERS)
        for statement in _FORGET_LAST:
            await connection.execute(statement, chosen)


async def sum_history(context: RetentionContext) -> int:
    """Sum the calls that were there before the tags were summed, a UTC day at a time, from the newest to the oldest day
    of which all calls exist; how many days.

    After a crash it goes on where it was.
    """
    owner, days = context.owner, 0
    tiers = [row["tier"] for row in await owner.fetch(_TIERS)]
    while True:
        rows = [row for row in await owner.fetch(_KEYS) if row["summed_from"] and row["unlisted_at"] is None]
        newest = max((row["summed_from"] for row in rows), default=EVER)
        keys = [row["tag_key"] for row in rows if row["summed_from"] == newest]
        async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(NOTHING_MOVES, COLD_LOCK)
            await connection.execute(_LOCK, COMPACTION_LOCK)
            if newest <= await _oldest(context, connection, tiers):
                return days
            await settle(connection)
            for tier in tiers:
                await remake_tags(connection, tier, newest - _DAY, newest, keys)
            await connection.execute(_SINCE, keys, newest - _DAY)
        days += 1


async def _oldest(context: RetentionContext, connection: Connection, tiers: Sequence[int]) -> datetime:
    """The first UTC day from which on all calls are stored: others are gone or go, or are in files, of which nothing
    can be summed. That can change from one day to the next.
    """
    now: datetime = await connection.fetchval("SELECT now()")
    frozen = await FrozenTimes.read(connection)
    complete = [first_complete_day(context.policy(), tier, now) for tier in tiers]
    return max([*complete, *(until for tier in tiers if (until := frozen.until(tier)) is not None)], default=now)


def first_complete_day(policy: Policy, tier: int, now: datetime) -> datetime:
    """The first UTC day of which all calls of a tier are within their window."""
    return ceil_to(cutoff(policy, tier, Store.CALL, now).astimezone(UTC), _DAY)


async def _add(owner: asyncpg.Pool, keys: Sequence[str]) -> None:
    """Let every writer make deltas of these tags; tried again if the writers of the moment take long."""
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.execute(_LOCK, TAGS_LOCK)
        await connection.execute(_WAIT_FOR_WRITERS)
        await connection.execute(_ADD, keys)


async def _sum_today(owner: asyncpg.Pool, keys: list[str]) -> None:
    """Sum the calls of today and of later days, which every writer adds to already."""
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(_LOCK, COMPACTION_LOCK)
        await settle(connection)
        today: datetime = await connection.fetchval("SELECT date_trunc('day', now(), 'UTC')")
        await _remake_every_tier(connection, today, keys)
        since = today if await connection.fetchval(_BEFORE, today) else EVER
        await connection.execute(_SINCE, keys, since)


async def _remake_every_tier(connection: Connection, start: datetime, keys: list[str]) -> None:
    for (tier,) in await connection.fetch(_TIERS):
        await remake_tags(connection, tier, start, _LAST, keys)
