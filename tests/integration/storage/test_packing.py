"""Indexes of past partitions are packed, on both versions of PostgreSQL, with others in the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from policies.policy.document import load_preset
from policies.policy.model import Store
from policies.retention import Partition, partition_bounds
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
BYTES = "SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = $1::text::regclass AND indisprimary"
INDEXES = "SELECT indisvalid FROM pg_index WHERE indrelid = $1::text::regclass"


@pytest.fixture
async def pool(any_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(any_database_url, min_size=0, max_size=6) as pool:
        yield pool


@pytest.fixture
def partitions(pool: asyncpg.Pool) -> Partitions:
    return Partitions(pool)


async def filled(pool: asyncpg.Pool, partitions: Partitions, moment: datetime) -> Partition:
    """The partition of `moment`, with calls, and with what PostgreSQL knows of it up to date."""
    start, _ = partition_bounds(POLICY, 1, Store.CALL, moment)
    await partitions.ensure(POLICY, [(Store.CALL, 1, moment)])
    await pool.execute(ARRIVE, start, ROWS)
    await pool.execute("ANALYZE call")
    return next(part for part in await partitions.list(Store.CALL) if part.start == start)


async def test_a_past_partition_is_packed_once(pool, partitions):
    """Its key's index takes far less afterwards, says what it said before, and is left alone from then on."""
    part = await filled(pool, partitions, PAST)
    before = await pool.fetchval(BYTES, part.name)

    packed = await pack(pool, partitions, NOW)
    again = await pack(pool, partitions, NOW)

    assert (packed, again) == ([f"{part.name}_pkey"], [])
    assert await pool.fetchval(BYTES, part.name) < 0.7 * before
    assert {valid for (valid,) in await pool.fetch(INDEXES, part.name)} == {True}
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(ARRIVE, part.start, 1)
    assert await pool.fetchval("SELECT count(*) FROM call WHERE account_id = 7") == ROWS // 50


async def test_a_partition_that_still_grows_is_left_alone(pool, partitions):
    """Today's index would be halved again, and a late report is awaited for a day."""
    part = await filled(pool, partitions, TODAY)

    assert await pack(pool, partitions, NOW) == []
    assert await pack(pool, partitions, part.end + timedelta(hours=23)) == []
    assert await pack(pool, partitions, part.end + timedelta(hours=24)) == [f"{part.name}_pkey"]


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

    assert sorted(found) == [[], [], [f"{part.name}_pkey"]]


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
