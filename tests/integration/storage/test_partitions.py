"""Partitions on real servers, both versions: made, listed, detached and dropped, with others in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from policies.policy.document import load_preset
from policies.policy.model import Policy, Store
from policies.retention import partition_bounds
from service.storage.errors import DatabaseError, PartitionsBusyError
from service.storage.partitions import Partitions

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass AND indisvalid"
REQUIRED_COLUMNS = """
    SELECT array_agg(attname::text ORDER BY 1) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnotnull
"""
INSERT_CALL = """
    INSERT INTO call (started_at, id, digest, account_id, tier, source, failed, source_id, model)
    VALUES ($1, gen_random_uuid(), 1, 1, $2, 1, false, 'r', 'm')
"""
INSERT_LONG_ERROR = """
    INSERT INTO call_error
        (occurred_at, started_at, id, fingerprint, account_id, tier, model, error_type, rules, rule_counts, sealed)
    SELECT $1, $1, gen_random_uuid(), 1, 1, 1, 'm', 'E', '{}', '{}', decode(string_agg(md5(n::text), ''), 'hex')
    FROM generate_series(1, 500) AS n
"""


@asynccontextmanager
async def owner_pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(url, min_size=0, max_size=6, server_settings={"timezone": "UTC"}) as pool:
        yield pool


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_preset("default")


@pytest.fixture
async def pool(any_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with owner_pool(any_database_url) as pool:
        yield pool


@pytest.fixture
def partitions(pool: asyncpg.Pool) -> Partitions:
    return Partitions(pool)


@pytest.fixture
def impatient(pool: asyncpg.Pool) -> Partitions:
    return Partitions(pool, attempts=1)


def with_days(policy: Policy, store: Store, days: int) -> Policy:
    """The policy with another window of one store in every tier."""
    tiers = {name: replace(tier, store_days={**tier.store_days, store: days}) for name, tier in policy.tiers.items()}
    return replace(policy, tiers=tiers)


@asynccontextmanager
async def open_reader(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that has read `call` and stays open."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchval("SELECT count(*) FROM call")
        yield connection


async def rows(pool: asyncpg.Pool) -> int:
    return await pool.fetchval("SELECT count(*) FROM call")


async def test_a_row_finds_the_partition_made_for_it(pool, partitions, policy):
    """ensure makes one partition with the bounds of the policy's width, and a row goes in."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])

    await pool.execute(INSERT_CALL, NOW, 1)
    (made,) = await partitions.list(Store.CALL)
    assert (made.tier, made.start, made.end) == (1, *partition_bounds(policy, 1, Store.CALL, NOW))
    assert made.name == f"call_t1_{made.start:%Y%m%d}"


async def test_every_store_gets_what_it_wants_ahead(partitions, policy):
    """ahead makes today's partition and two more for each tier and store, and nothing the second time."""
    await partitions.make_ahead(policy, NOW)
    first = {store: await partitions.list(store) for store in Store}
    partitions.forget()
    await partitions.make_ahead(policy, NOW)

    assert first == {store: await partitions.list(store) for store in Store}
    for store, made in first.items():
        assert len(made) == 3 * len(policy.tiers), store
        assert any(part.start <= NOW < part.end for part in made)


async def test_a_partition_has_the_indexes_and_constraints_of_its_parent(pool, partitions, policy):
    """LIKE and ATTACH give a partition the parent's primary key, indexes and NOT NULLs."""
    await partitions.ensure(policy, [(store, 1, NOW) for store in Store])
    for store in Store:
        (made,) = await partitions.list(store)
        for statement in (INDEXES, REQUIRED_COLUMNS):
            assert await pool.fetchval(statement, made.name) == await pool.fetchval(statement, store.value)


async def test_racing_callers_make_each_partition_once(any_database_url, policy):
    """Three pools, eight callers each, all wanting the same partitions at once: each is made once, nobody fails."""
    needs = [(Store.CALL_ERROR, 1, NOW - timedelta(days=days)) for days in range(20)]
    async with (
        owner_pool(any_database_url) as one,
        owner_pool(any_database_url) as two,
        owner_pool(any_database_url) as three,
    ):
        processes = [Partitions(pool) for pool in (one, two, three)]
        await asyncio.gather(*(p.ensure(policy, needs[start:]) for p in processes for start in range(8)))
        made = await processes[0].list(Store.CALL_ERROR)

    assert len(made) == len(needs) == len({part.start for part in made})


async def test_what_is_known_needs_no_round_trip(any_database_url, policy):
    """A second ensure of the same needs does not touch the database: it works with the pool closed."""
    async with owner_pool(any_database_url) as pool:
        partitions = Partitions(pool)
        await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])


async def test_forget_makes_ensure_look_again(pool, partitions, policy):
    """A partition that was dropped behind our back is made anew after forget."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    (made,) = await partitions.list(Store.CALL)
    await partitions.detach(made)
    await partitions.drop(made)
    partitions.forget()
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    await pool.execute(INSERT_CALL, NOW, 1)


async def test_another_width_fills_the_gaps_between_what_is_there(pool, partitions, policy):
    """When the policy's widths change, new partitions are clipped to what is free and no moment is left out."""
    weekly, daily, monthly = (with_days(policy, Store.CALL, days) for days in (400, 30, 800))
    await partitions.ensure(weekly, [(Store.CALL, 1, NOW)])  # 16 to 23 November
    await partitions.ensure(daily, [(Store.CALL, 1, NOW - timedelta(days=9))])  # the 13th
    everywhere = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in range(1, 31)]
    await partitions.ensure(monthly, [(Store.CALL, 1, moment) for moment in everywhere])

    for moment in everywhere:
        await pool.execute(INSERT_CALL, moment, 1)
    edges = [(part.start.day, part.end.day) for part in await partitions.list(Store.CALL)]
    assert edges == [(1, 13), (13, 14), (14, 16), (16, 23), (23, 1)]


async def test_a_name_that_is_taken_is_not_reused(pool, partitions, policy):
    """A table of the name, waiting for its drop perhaps, is left alone: the new partition has another name."""
    start = partition_bounds(policy, 1, Store.CALL, NOW)[0]
    await pool.execute(f"CREATE TABLE call_t1_{start:%Y%m%d} (LIKE call)")
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    (made,) = await partitions.list(Store.CALL)
    assert made.name == f"call_t1_{start:%Y%m%d}_2"


async def test_a_long_reader_does_not_hold_up_a_new_partition(pool, partitions, policy):
    """A transaction that has read the store and stays open does not block making a partition and writing to it."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    async with open_reader(pool):
        await partitions.ensure(policy, [(Store.CALL, 1, NOW + timedelta(days=8))])
        await pool.execute(INSERT_CALL, NOW + timedelta(days=8), 1)
        assert await rows(pool) == 1


async def test_detach_waits_for_a_long_reader_and_nobody_waits_for_it(pool, partitions, policy):
    """While a detach waits for an open reader, others read, write and even get new partitions; then it finishes."""
    old = NOW - timedelta(days=10)
    await partitions.ensure(policy, [(Store.CALL, 1, old), (Store.CALL, 1, NOW)])
    await pool.execute(INSERT_CALL, old, 1)
    (gone, _) = await partitions.list(Store.CALL)
    async with open_reader(pool):
        detaching = asyncio.create_task(partitions.detach(gone))
        while await rows(pool):  # noqa: ASYNC110 - until it is marked: new statements do not see it from then on
            await asyncio.sleep(0.01)
        await pool.execute(INSERT_CALL, NOW, 1)
        await partitions.ensure(policy, [(Store.CALL, 1, NOW + timedelta(days=7))])
        await pool.execute(INSERT_CALL, NOW + timedelta(days=7), 1)
        assert await rows(pool) == 2
        assert not detaching.done()
    await detaching
    await partitions.drop(gone)

    assert not await partitions.exists(gone)
    assert gone not in await partitions.list(Store.CALL)


async def test_a_detach_that_gives_up_is_finished_by_the_next(pool, partitions, impatient, policy):
    """With a reader that outlasts it a detach says busy, leaves `detach pending`, and goes on when called again."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    (part,) = await partitions.list(Store.CALL)
    async with open_reader(pool):
        with pytest.raises(PartitionsBusyError):
            await impatient.detach(part)
        assert await pool.fetchval(
            "SELECT bool_and(inhdetachpending) FROM pg_inherits WHERE inhparent = 'call'::regclass"
        )
        with pytest.raises(PartitionsBusyError):
            await impatient.detach(part)
    await partitions.detach(part)
    await partitions.detach(part)
    assert await partitions.list(Store.CALL) == []


async def test_leftovers_are_finalised_before_others_can_be_detached(pool, partitions, impatient, policy):
    """A partition left `detach pending` blocks the next detach; finalise_leftovers clears the way."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW), (Store.CALL, 1, NOW + timedelta(days=7))])
    first, second = await partitions.list(Store.CALL)
    async with open_reader(pool):
        with pytest.raises(PartitionsBusyError):
            await impatient.detach(first)
        with pytest.raises(PartitionsBusyError):
            await impatient.detach(second)
    assert await partitions.finalise_leftovers() == (first.name,)
    await partitions.detach(second)
    assert await partitions.list(Store.CALL) == []
    assert await partitions.exists(first)


async def test_a_detach_that_waits_for_a_reader_keeps_no_partition_from_being_made(pool, partitions, impatient, policy):
    """While a reader idles in its transaction, before and after the detach gives up, rows get new partitions."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    (part,) = await partitions.list(Store.CALL)
    weeks = [NOW + timedelta(days=7 * week) for week in (1, 2)]
    async with open_reader(pool):
        detaching = asyncio.create_task(impatient.detach(part))
        while not await pool.fetchval("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"):
            assert not detaching.done()
            await asyncio.sleep(0.01)
        await partitions.ensure(policy, [(Store.CALL, 1, weeks[0])])
        await pool.execute(INSERT_CALL, weeks[0], 1)
        with pytest.raises(PartitionsBusyError):
            await detaching
        await partitions.ensure(policy, [(Store.CALL, 1, weeks[1])])
        await pool.execute(INSERT_CALL, weeks[1], 1)
        assert await rows(pool) == 2
    assert await partitions.finalise_leftovers() == (part.name,)


async def test_a_lock_timeout_does_not_stay_on_the_connection(any_database_url, policy):
    """After a detach, whether it worked or not, the connection waits for locks as before."""
    async with asyncpg.create_pool(any_database_url, min_size=0, max_size=1) as pool:
        partitions = Partitions(pool)
        await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
        (part,) = await partitions.list(Store.CALL)
        await partitions.detach(part)
        assert await pool.fetchval("SHOW lock_timeout") == "0"


async def test_a_partition_goes_with_all_that_belongs_to_it(pool, partitions, policy):
    """Every index is dropped and told of, whoever made it, and what was too long for a row goes with the rows."""
    await partitions.ensure(policy, [(Store.CALL_ERROR, 1, NOW)])
    (part,) = await partitions.list(Store.CALL_ERROR)
    await pool.execute(INSERT_LONG_ERROR, NOW)
    await pool.execute(f'CREATE INDEX "of ours"" too" ON {part.name} (model)')
    await pool.execute(f"ALTER TABLE {part.name} ADD UNIQUE (id)")
    toast = await pool.fetchval("SELECT reltoastrelid FROM pg_class WHERE relname = $1", part.name)
    assert await pool.fetchval("SELECT pg_relation_size($1::oid)", toast) > 0
    await partitions.detach(part)
    dropped = []
    await partitions.drop(part, on_index=lambda: dropped.append("index"))

    assert len(dropped) == 3
    assert not await partitions.exists(part)
    assert await pool.fetchval("SELECT count(*) FROM pg_class WHERE oid = $1", toast) == 0


async def test_only_detached_partitions_of_our_own_are_dropped(pool, partitions, policy):
    """drop refuses what is attached, other tables by name, and names that try to be SQL."""
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    (part,) = await partitions.list(Store.CALL)
    for name in (
        part.name,
        "account",
        "call_held",
        "call",
        "usage_day_t1_20261116",
        'call_t1_20261116"; DROP TABLE call',
    ):
        with pytest.raises(DatabaseError):
            await partitions.drop(replace(part, name=name))
    assert [found.name for found in await partitions.list(Store.CALL)] == [part.name]
    assert await pool.fetchval("SELECT count(*) FROM account") == 0


async def test_a_grant_on_a_partition_shows_nothing(pool, partitions, policy):
    """Default privileges that reach a partition do not open it: its own row-level security has no policy."""
    await pool.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO calledger_app")
    await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
    await pool.execute(INSERT_CALL, NOW, 1)
    (part,) = await partitions.list(Store.CALL)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE calledger_app")
        await connection.execute("SET LOCAL calledger.accounts = '{1}'")
        assert await connection.fetchval("SELECT count(*) FROM call") == 1
        assert await connection.fetchval(f"SELECT count(*) FROM {part.name}") == 0


async def test_bounds_are_read_alike_whatever_the_session_speaks(any_database_url, policy):
    """A database with another DateStyle and time zone gives the same bounds."""
    name = urlsplit(any_database_url).path.lstrip("/")
    async with owner_pool(any_database_url) as pool:
        await pool.execute(f"ALTER DATABASE {name} SET datestyle = 'German, DMY'")
        await pool.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    async with asyncpg.create_pool(any_database_url, min_size=0, max_size=2) as pool:
        partitions = Partitions(pool)
        await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
        partitions.forget()
        await partitions.ensure(policy, [(Store.CALL, 1, NOW)])
        (made,) = await partitions.list(Store.CALL)
    assert (made.start, made.end) == partition_bounds(policy, 1, Store.CALL, NOW)


async def test_a_partition_of_another_shape_is_named(pool, partitions):
    """A partition that somebody made by hand over two tiers is not taken for ours, and is reported."""
    await pool.execute("CREATE TABLE odd PARTITION OF call FOR VALUES FROM (7, '2026-01-01') TO (9, '2026-02-01')")
    assert await partitions.list(Store.CALL) == []
    assert await partitions.foreign() == ("odd",)
