"""On a Citus cluster a call and its deltas are committed on one node after the other: what makes or checks sums of
calls sees both or neither.

A commit that is on its way is made of what is there: rows are taken away, and put back by a prepared transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from citus_cluster import CitusServer
from ingesting import call, eventually
from retaining import RetainedLedger, open_retained, windows

from policies.policy.model import Store
from service.query.buckets.tier_days import TierDays
from service.query.records.feed.check import check_feed
from service.query.usage.consistency import UsageDifference, check_usage
from service.retention.rollups.rebuild import rebuild_sums
from service.retention.rollups.tag_check import check_tags
from service.retention.rollups.tag_keys import _sum_today, keep_tags, sum_history
from service.storage.citus import settling
from service.storage.errors import CommitInDoubtError

pytestmark = pytest.mark.citus
ACCOUNTS = [f"account-{number}" for number in range(8)]
SOON = datetime.now(UTC) + timedelta(hours=2)
DAY = datetime(SOON.year, SOON.month, SOON.day, tzinfo=UTC)
"""Today, or tomorrow late in the evening."""
TOMORROW = DAY + timedelta(days=1)
IN_DOUBT = "citus_999_1_1_1"
"""Of a node that is none, so that Citus does not end it."""
ON_COORDINATOR = ("usage_delta", "usage_tag_delta", "call_change_new")
SHARDS = """
    SELECT shard_name('call'::regclass, shardid) AS shard FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
    JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'call'::regclass AND nodename = $1
"""
WAITS = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'usage_delta'::regclass)"
WAITS_IDLE = """
    SELECT EXISTS (
        SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
    )
"""
SUMMED = "SELECT coalesce(sum(calls), 0)::integer FROM {}"
Remake = Callable[[RetainedLedger], Coroutine[Any, Any, None]]


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """Calls of accounts on both workers, with a tag that is summed, whose deltas wait."""
    async with open_retained(database_url, tmp_path) as retained:
        await keep_tags(retained.retention)
        rows = [call(f"c{number}", account=name) for number, name in enumerate(ACCOUNTS)]
        await retained.ingest.report(*(row | {"started_at": SOON.isoformat(), "tags": {"team": "a"}} for row in rows))
        yield retained


@asynccontextmanager
async def on_its_way(url: str, tables: list[str]) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """The rows of these tables of a node come with a commit that has not reached it; what lets it arrive."""
    node = await asyncpg.connect(url)
    await node.execute("SET citus.enable_manual_changes_to_shards = on")
    for table in tables:
        await node.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}; DELETE FROM {table}")
    await node.execute("BEGIN")
    for table in tables:
        await node.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}")
    await node.execute(f"PREPARE TRANSACTION '{IN_DOUBT}'")

    async def arrive() -> None:
        await node.execute(f"COMMIT PREPARED '{IN_DOUBT}'")

    try:
        yield arrive
    finally:
        if await node.fetchval("SELECT EXISTS (SELECT 1 FROM pg_prepared_xacts WHERE gid = $1)", IN_DOUBT):
            await node.execute(f"ROLLBACK PREPARED '{IN_DOUBT}'")
        await node.close()


@asynccontextmanager
async def calls_on_their_way(
    cluster: CitusServer, retained: RetainedLedger
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """The same of the calls of one worker."""
    shards = await retained.column(SHARDS, cluster.hosts[1][0])
    async with on_its_way(cluster.url(retained.ingest.url.rpartition("/")[2], node=1), shards) as arrive:
        yield arrive


async def rebuilt(retained: RetainedLedger) -> None:
    """`calledger rebuild-sums` of the day."""
    async for _ in rebuild_sums(retained.retention, [(1, DAY)], actor="cli"):
        pass


async def summed_today(retained: RetainedLedger) -> None:
    """Sums by a tag that is listed anew."""
    await _sum_today(retained.retention.owner, ["team"])


async def summed_history(retained: RetainedLedger) -> None:
    """Sums by tag of days before it was listed."""
    retained.ingest.use_policy(windows(2))
    await retained.retention.owner.execute("UPDATE usage_tag_key SET summed_from = $1", TOMORROW)
    await sum_history(retained.retention)


async def summed(retained: RetainedLedger) -> tuple[int, int]:
    """How many calls are in the sums, and in those by tag."""
    return await retained.value(SUMMED.format("usage_delta")), await retained.value(SUMMED.format("usage_tag_delta"))


@pytest.mark.parametrize("remake", [rebuilt, summed_today, summed_history])
async def test_deltas_that_are_on_their_way_are_waited_for(retained: RetainedLedger, remake: Remake) -> None:
    """A call whose delta reaches the coordinator after it is in the sums once."""
    async with on_its_way(retained.ingest.url, list(ON_COORDINATOR)) as arrive, asyncio.TaskGroup() as group:
        work = group.create_task(remake(retained))

        async def waits() -> bool:
            return work.done() or await retained.value(WAITS)

        await eventually(waits)
        await arrive()
    assert await summed(retained) == (8, 8)


@pytest.mark.parametrize("remake", [rebuilt, summed_today, summed_history])
async def test_calls_that_are_on_their_way_are_waited_for(
    embedded_18: CitusServer, retained: RetainedLedger, remake: Remake
) -> None:
    """A call that reaches its worker after its delta was stored is not lost to the sums; others are stored then."""
    async with calls_on_their_way(embedded_18, retained) as arrive, asyncio.TaskGroup() as group:
        work = group.create_task(remake(retained))
        later = call("later", account=ACCOUNTS[0], started_at=SOON.isoformat(), tags={"team": "b"})
        await retained.ingest.report(later)
        await arrive()
        await work
    assert await summed(retained) == (9, 9)


async def test_a_commit_that_stays_in_doubt_changes_no_sum(
    embedded_18: CitusServer, retained: RetainedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums are as they were, and the error says to try again."""
    monkeypatch.setattr(settling, "_TRIES", 2)
    async with calls_on_their_way(embedded_18, retained):
        with pytest.raises(CommitInDoubtError, match="a node of the cluster does not answer; try again"):
            await rebuilt(retained)
        assert await summed(retained) == (8, 8)


async def differences(retained: RetainedLedger) -> list[object]:
    """What `calledger fsck` finds of the day in sums, in sums by tag and in the feed."""
    owner, policy, days = retained.retention.owner, retained.retention.policy(), [TierDays(1, DAY, TOMORROW)]
    catalogue = await retained.retention.partitions.catalogue([Store.CALL], sized=False)
    partitions = [part for part in catalogue.partitions if part.tier == 1 and part.start < TOMORROW and part.end > DAY]
    return [
        *[one async for one in check_usage(owner, policy, days)],
        *[one async for one in check_tags(owner, policy, days)],
        *(await check_feed(owner, policy, partitions))[0],
    ]


async def test_deltas_and_changes_that_are_on_their_way_are_no_difference(retained: RetainedLedger) -> None:
    """Whoever compares calls with sums and feed looks again once all is there."""
    async with on_its_way(retained.ingest.url, list(ON_COORDINATOR)) as arrive, asyncio.TaskGroup() as group:
        looking = group.create_task(differences(retained))

        async def waits() -> bool:
            return looking.done() or await retained.value(WAITS)

        await eventually(waits)
        await arrive()
    assert looking.result() == []


async def test_calls_that_are_on_their_way_are_no_difference(
    embedded_18: CitusServer, retained: RetainedLedger
) -> None:
    """The same the other way round."""
    async with calls_on_their_way(embedded_18, retained) as arrive, asyncio.TaskGroup() as group:
        looking = group.create_task(differences(retained))

        async def waits() -> bool:
            return looking.done() or await retained.value(WAITS_IDLE)

        await eventually(waits)
        await arrive()
    assert looking.result() == []


async def test_calls_that_are_stored_all_the_time_are_no_difference(retained: RetainedLedger) -> None:
    """Comparisons while both workers are sent calls find nothing, and find what is wrong all the same."""
    done = asyncio.Event()

    async def report() -> None:
        """Store batches for both workers, one after the other."""
        number = 0
        while not done.is_set():
            number += 1
            names = [(f"{number}-{one}", ACCOUNTS[one % len(ACCOUNTS)]) for one in range(60)]
            await retained.ingest.report(
                *(call(id_, account=account, started_at=SOON.isoformat(), tags={"team": "a"}) for id_, account in names)
            )

    async with asyncio.TaskGroup() as group:
        group.create_task(report())
        found = [await differences(retained) for _ in range(5)]
        await retained.retention.owner.execute(
            "UPDATE usage_delta SET calls = calls + 1 WHERE ctid = (SELECT min(ctid) FROM usage_delta)"
        )
        wrong = await differences(retained)
        done.set()
    assert found == [[]] * 5
    assert {one.store for one in wrong if isinstance(one, UsageDifference)} == {Store.USAGE_QUARTER, Store.USAGE_DAY}
    assert len(wrong) == 2
