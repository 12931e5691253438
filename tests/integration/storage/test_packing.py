"""Indexes of past partitions are packed, on both versions of PostgreSQL, with others in the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from policies.policy.document import load_preset
from policies.policy.model import Store
from policies.retention import Partition, partition_bounds
from service.storage.errors import PartitionsBusyError
from service.storage.packing import pack
from service.storage.partitions import Partitions

pytestmark = pytest.mark.plain("packs the indexes of past partitions")

POLICY = load_preset("default")
PAST, TODAY = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROWS = 20_000
# In order of time, from fifty accounts at once, as calls arrive.
ARRIVE = """
    INSERT INTO call (started_at, id, digest, account_id, tier, source, failed, source_id, model)
    SELECT $1::timestamptz + n * interval '1 second', md5(n::text)::uuid, n, n % 50, 1, 1, false, n, 'm'
    FROM generate_series(1, $2::integer) AS n
"""
SIZES = """
    SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index
    WHERE indrelid = $1::text::regclass AND (indisprimary OR pg_get_indexdef(indexrelid) LIKE '%hash (source_id)%')
"""
INDEXES = "SELECT indisvalid FROM pg_index WHERE indrelid = $1::text::regclass"
REBUILDING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'REINDEX INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def pool(any_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(any_database_url, min_size=0, max_size=6) as pool:
        yield pool


@pytest.fixture
def partitions(pool: asyncpg.Pool) -> Partitions:
    return Partitions(pool)


async def filled(pool: asyncpg.Pool, partitions: Partitions, moment: datetime, rows: int = ROWS) -> Partition:
    """The partition of `moment`, with calls, and with what PostgreSQL knows of it up to date."""
    start, _ = partition_bounds(POLICY, 1, Store.CALL, moment)
    await partitions.ensure(POLICY, [(Store.CALL, 1, moment)])
    await pool.execute(ARRIVE, start, rows)
    await pool.execute("ANALYZE call")
    return next(part for part in await partitions.list(Store.CALL) if part.start == start)


def indexes_of(part: Partition) -> list[str]:
    """Those of its indexes that are packed."""
    return [f"{part.name}_pkey", f"{part.name}_source_id_idx"]


async def rebuilding(pool: asyncpg.Pool) -> int:
    """The process that rebuilds an index and waits for a reader, once there is one."""
    while True:
        if (process := await pool.fetchval(REBUILDING)) is not None:
            return process
        await asyncio.sleep(0.01)


async def test_a_past_partition_is_packed_once(pool, partitions):
    """Its indexes by key and by the gateway's id take far less afterwards, say what they said before, and are left
    alone from then on.
    """
    part = await filled(pool, partitions, PAST)
    before = dict(await pool.fetch(SIZES, part.name))

    packed = await pack(pool, partitions, NOW)
    again = await pack(pool, partitions, NOW)

    assert (packed, again) == (indexes_of(part), [])
    after = dict(await pool.fetch(SIZES, part.name))
    assert sorted(after) == packed
    assert all(after[name] < 0.7 * before[name] for name in packed), (before, after)
    found = "SELECT count(*) FROM call WHERE source_id = '17'"
    assert "_source_id_idx" in "".join(line for (line,) in await pool.fetch(f"EXPLAIN {found}"))
    assert await pool.fetchval(found) == 1
    assert {valid for (valid,) in await pool.fetch(INDEXES, part.name)} == {True}
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(ARRIVE, part.start, 1)
    assert await pool.fetchval("SELECT count(*) FROM call WHERE account_id = 7") == ROWS // 50


async def test_a_small_partition_is_packed_once_too(pool, partitions):
    """As tiers of few calls have many: one of a thousand calls takes less afterwards, and is left alone then."""
    part = await filled(pool, partitions, PAST, 1_000)
    before = dict(await pool.fetch(SIZES, part.name))

    packed = await pack(pool, partitions, NOW)
    again = await pack(pool, partitions, NOW)

    assert (packed, again) == (indexes_of(part), [])
    after = dict(await pool.fetch(SIZES, part.name))
    assert sum(after.values()) < sum(before.values())


async def test_a_partition_that_has_grown_is_packed_again(pool, partitions):
    """An import may bring many calls of a past week; a few late reports are not worth it."""
    part = await filled(pool, partitions, PAST)
    await pack(pool, partitions, NOW)

    found = []
    for seconds, rows in ((ROWS, ROWS // 10), (2 * ROWS, ROWS // 2)):
        await pool.execute(ARRIVE, part.start + timedelta(seconds=seconds), rows)
        await pool.execute("ANALYZE call")
        found.append(await pack(pool, partitions, NOW))

    assert found == [[], indexes_of(part)]


async def test_a_round_ends_in_time(pool, partitions):
    """An index is begun only while there is time for it, and the next round has what is left."""
    part = await filled(pool, partitions, PAST)

    assert await pack(pool, partitions, NOW, work_s=0) == []
    assert await pack(pool, partitions, NOW) == indexes_of(part)


async def test_a_partition_that_still_grows_is_left_alone(pool, partitions):
    """Today's index would be halved again, and a late report is awaited for a day."""
    part = await filled(pool, partitions, TODAY)

    assert await pack(pool, partitions, NOW) == []
    assert await pack(pool, partitions, part.end + timedelta(hours=23)) == []
    assert await pack(pool, partitions, part.end + timedelta(hours=24)) == indexes_of(part)


async def test_who_is_killed_is_continued(pool, partitions):
    """The session ends in the middle of a rebuild: the next round removes what it left, and packs both indexes."""
    part = await filled(pool, partitions, PAST)
    async with pool.acquire() as reader, reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM call")
        packing = asyncio.create_task(pack(pool, partitions, NOW))
        await pool.execute("SELECT pg_terminate_backend($1)", await rebuilding(pool))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await packing
    assert False in {valid for (valid,) in await pool.fetch(INDEXES, part.name)}

    packed = await pack(pool, partitions, NOW)

    assert packed == indexes_of(part)
    assert {valid for (valid,) in await pool.fetch(INDEXES, part.name)} == {True}
    assert await pool.fetchval("SELECT count(*) FROM call WHERE account_id = 7") == ROWS // 50


async def test_a_partition_that_is_purged_meanwhile_goes(pool, partitions):
    """Its purge waits for a rebuild and then drops it; whoever packs goes on with the next partition."""
    part = await filled(pool, partitions, PAST)
    async with pool.acquire() as reader, reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM account")
        packing = asyncio.create_task(pack(pool, partitions, NOW))
        await rebuilding(pool)
        purge = asyncio.create_task(partitions.detach(part))
    found = (await asyncio.gather(packing, return_exceptions=True))[0]
    await purge
    await partitions.drop(part)

    assert isinstance(found, PartitionsBusyError) or found in (indexes_of(part)[:1], indexes_of(part))
    assert not await partitions.exists(part)
    assert await pack(pool, partitions, NOW) == []


async def test_what_an_interrupted_rebuild_left_is_removed(pool, partitions):
    """A rebuild that was cut off leaves an invalid index: it goes, and the next rebuild succeeds."""
    part = await filled(pool, partitions, PAST)
    async with pool.acquire() as reader, pool.acquire() as builder:
        async with reader.transaction(isolation="repeatable_read"):
            await reader.fetchval("SELECT count(*) FROM call")
            await builder.execute("SET lock_timeout = '200ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await builder.execute(f"REINDEX INDEX CONCURRENTLY {part.name}_pkey")
        await builder.execute("RESET lock_timeout")
    assert False in {valid for (valid,) in await pool.fetch(INDEXES, part.name)}

    await pack(pool, partitions, NOW)

    assert {valid for (valid,) in await pool.fetch(INDEXES, part.name)} == {True}


async def test_one_packs_at_a_time(pool, partitions):
    """Of several that pack at once one does the work, and no index is built twice."""
    part = await filled(pool, partitions, PAST)

    found = await asyncio.gather(*(pack(pool, partitions, NOW) for _ in range(3)))

    assert sorted(found) == [[], [], indexes_of(part)]


async def test_calls_are_read_and_stored_meanwhile(pool, partitions):
    """A reader and a writer of the same partition go on while its index is built anew."""
    part = await filled(pool, partitions, PAST)
    done = asyncio.Event()

    async def work() -> int:
        rounds = 0
        while not done.is_set():
            moment = part.start + timedelta(days=2, seconds=rounds)
            await pool.execute(ARRIVE, moment, 1)
            assert await pool.fetchval("SELECT count(*) FROM call WHERE started_at > $1", moment) > 0
            rounds += 1
            await asyncio.sleep(0)
        return rounds

    worker = asyncio.create_task(work())
    await pack(pool, partitions, NOW)
    done.set()

    assert await worker > 0
