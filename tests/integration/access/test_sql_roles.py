"""What a login role of PostgreSQL could do and learn, however little it is granted: why docs/decisions/0013 has none.

The role has SELECT on one view and nothing else; the view is a security barrier over a table with row-level security.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from rows import SeededLedger, StoredCall, open_seeded

ROLE = f"analyst_{uuid4().hex[:8]}"
SETUP = f"""
    CREATE ROLE {ROLE} LOGIN PASSWORD 'a' NOINHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT 2;
    ALTER ROLE {ROLE} SET statement_timeout = '5s';
    ALTER ROLE {ROLE} SET default_transaction_read_only = on;
    CREATE SCHEMA analyst;
    CREATE VIEW analyst.calls WITH (security_barrier) AS
        SELECT account_id, started_at, model FROM call WHERE account_id = 1 AND tier = 1;
    GRANT USAGE ON SCHEMA analyst TO {ROLE};
    GRANT SELECT ON analyst.calls TO {ROLE};
"""
WAITS_TO_DETACH = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE call%' AND wait_event_type = 'Lock')
        AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = $1::text::regclass AND inhdetachpending)
"""


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put(StoredCall(now, account="acme", source_id=f"a{number}") for number in range(3))
        await seeded.put(StoredCall(now, account="globex", source_id=f"g{number}") for number in range(1234))
        await seeded.database.owner.execute("ANALYZE call")
        await seeded.database.owner.execute(SETUP)
        yield seeded
        await seeded.database.owner.execute(f"DROP SCHEMA analyst CASCADE; DROP ROLE {ROLE}")


@pytest.fixture
async def analyst(seeded: SeededLedger) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(seeded.database.url, user=ROLE, password="a")
    yield connection
    await connection.close()


async def test_grants_keep_rows_but_not_how_many_there_are(seeded: SeededLedger, analyst: asyncpg.Connection) -> None:
    """The rows of others stay hidden, also from a function that would tell what it is given; EXPLAIN and the catalogue
    say how many there are."""
    assert await analyst.fetchval("SELECT count(*) FROM analyst.calls") == 3
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await analyst.fetch("SELECT * FROM call")
    assert await analyst.fetchval("SELECT count(*) FROM pg_stats WHERE tablename LIKE 'call%'") == 0
    await analyst.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
    plan = "\n".join(row[0] for row in await analyst.fetch("EXPLAIN (ANALYZE) SELECT count(*) FROM analyst.calls"))
    assert re.search(r"Rows Removed by Filter: 1234\b", plan), plan
    counted = (
        "SELECT sum(reltuples)::integer FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'call'::regclass"
    )
    assert await analyst.fetchval(counted) == 1237


async def test_what_is_set_for_a_role_it_can_set_again(analyst: asyncpg.Connection) -> None:
    """Time limits, memory and read-only are defaults to the one who is to be held by them; so it can write, too."""
    await analyst.execute("SET statement_timeout = 0; SET work_mem = '100GB'; SET default_transaction_read_only = off")
    assert await analyst.fetchval("SHOW statement_timeout") == "0"
    written = await analyst.fetchval("SELECT lo_create(0)")
    assert await analyst.fetchval("SELECT lo_unlink($1)", written) == 1


async def test_it_can_stand_in_the_way_of_the_service(seeded: SeededLedger, analyst: asyncpg.Connection) -> None:
    """A lock that the service takes, and a transaction that was left open: each keeps others waiting for as long as it
    likes, and the second keeps a purge from detaching what has to go."""
    await analyst.execute("SELECT pg_advisory_lock(42)")
    owner = seeded.database.owner
    assert await owner.fetchval("SELECT pg_try_advisory_lock(42)") is False
    await analyst.execute("SET idle_in_transaction_session_timeout = 0")
    async with analyst.transaction():
        await analyst.fetchval("SELECT count(*) FROM analyst.calls")
        partition = await owner.fetchval(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'call'::regclass"
        )
        detaching = asyncio.create_task(owner.execute(f"ALTER TABLE call DETACH PARTITION {partition} CONCURRENTLY"))
        async with asyncio.timeout(60):
            while not await owner.fetchval(WAITS_TO_DETACH, partition):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.02)
        detaching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await detaching
    await owner.execute(f"ALTER TABLE call DETACH PARTITION {partition} FINALIZE")
