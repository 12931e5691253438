"""Connections for reading are kept at hand between requests, and never lost, shared or left in a bad state."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.storage.database import Database

SLEEPING = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, read_connections=3)
    yield opened
    await opened.close()


async def test_more_readers_than_connections_all_get_one(database: Database) -> None:
    """Fifty readers at once share the few connections that there are: each gets its turn."""

    async def read(number: int) -> int:
        async with database.reading(None) as connection:
            return await connection.fetchval("SELECT $1::integer + 0 * pg_backend_pid()", number)

    assert await asyncio.gather(*(read(number) for number in range(50))) == list(range(50))


async def test_a_connection_is_lent_to_one_at_a_time(database: Database) -> None:
    """While it is lent, nobody else has it; afterwards the next one does."""
    async with database.reading(None) as one, database.reading(None) as other:
        first, second = [await each.fetchval("SELECT pg_backend_pid()") for each in (one, other)]
    async with database.reading(None) as again:
        third = await again.fetchval("SELECT pg_backend_pid()")

    assert first != second
    assert third in (first, second)


async def test_a_connection_that_the_server_ended_is_replaced(database: Database) -> None:
    """A connection that died while it was at hand is not lent again."""
    async with database.reading(None) as connection:
        dead = await connection.fetchval("SELECT pg_backend_pid()")
    await database.owner.fetchval("SELECT pg_terminate_backend($1::integer, 5000::bigint)", dead)

    async with database.reading(None) as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != dead


async def test_after_a_cancelled_statement_others_are_served(database: Database) -> None:
    """A reader that is cancelled in the middle of a statement leaves nothing behind for the next one."""

    async def sleep() -> None:
        async with database.reading((1,)) as connection:
            await connection.fetch("SELECT pg_sleep(30)")

    for _ in range(12):
        task = asyncio.create_task(sleep())
        while not await database.owner.fetchval(SLEEPING):  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async with database.reading((1,)) as connection:
        assert await connection.fetchval("SELECT current_setting('calledger.accounts')") == "{1}"


async def test_a_failed_statement_leaves_no_transaction(database: Database) -> None:
    """A transaction that failed is ended before its connection is lent again."""
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with database.reading(None) as connection:
            await connection.execute("BEGIN")
            await connection.fetch("SELECT 1 / 0")

    async with database.reading(None) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert not connection.is_in_transaction()


async def test_accounts_change_with_the_reader(database: Database) -> None:
    """A connection shows the accounts of the one who has it now, whoever had it before."""
    for accounts, setting in (((1, 2), "{1,2}"), ((3,), "{3}"), ((1, 2), "{1,2}")):
        async with database.reading(accounts) as connection:
            assert await connection.fetchval("SELECT current_setting('calledger.accounts')") == setting
