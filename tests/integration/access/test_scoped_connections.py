"""Row-level security: PostgreSQL itself keeps a scoped connection to its accounts."""

import asyncio
import os
from datetime import UTC, datetime

import asyncpg
import pytest

from service.storage.database import Database, share_of_a_key

DAY = datetime(2026, 11, 20, tzinfo=UTC)
PARTITION = "CREATE TABLE call_p PARTITION OF call FOR VALUES FROM (1, '2026-11-01') TO (1, '2026-12-01')"
INSERT = """
INSERT INTO call (account_id, tier, started_at, id, digest, source, failed, source_id, model)
VALUES ($1, 1, $2, gen_random_uuid(), 0, 1, false, 'x', 'm')
"""
COUNT = "SELECT count(*) FROM call"


@pytest.fixture
async def database(any_database_url: str):
    opened = await Database.open(any_database_url)
    await opened.owner.execute(PARTITION)
    for account in (1, 1, 2, 3):
        await opened.writer.execute(INSERT, account, DAY)
    yield opened
    await opened.close()


@pytest.mark.parametrize(("accounts", "rows"), [((1,), 2), ((2,), 1), ((1, 3), 3), ((9,), 0), ((), 0), (None, 4)])
async def test_a_statement_without_any_account_filter_sees_only_the_scope(
    database: Database, accounts: tuple[int, ...] | None, rows: int
) -> None:
    """Where the query forgets its account filter, row-level security does not."""
    async with database.reading(accounts) as connection:
        assert await connection.fetchval(COUNT) == rows


async def test_one_connection_serves_one_scope_after_another(database: Database) -> None:
    """A connection that has served one scope serves the next with the next one's rows, whatever came between."""
    for accounts, rows in (((1,), 2), ((2,), 1), ((1,), 2), ((1, 2, 3), 4), ((), 0)):
        async with database.reading(accounts) as connection:
            assert await connection.fetchval(COUNT) == rows


@pytest.mark.parametrize(
    ("connections", "processors", "share"), [(8, 2, 1), (8, 4, 2), (8, 64, 2), (64, 8, 4), (2, 1, 1), (3, 64, 1)]
)
def test_a_share_is_a_quarter_of_the_connections_and_half_of_the_processors(
    connections: int, processors: int, share: int
) -> None:
    """One key's long statements leave connections and processors to others, and one may always run."""
    assert share_of_a_key(connections, processors) == share


async def test_a_key_has_its_share_of_the_connections(database: Database) -> None:
    """A long statement of a key beyond its share waits until one is done, or one that waits has gone; other keys', and
    what is short, do not wait.
    """
    share = share_of_a_key(database.scoped._pool.get_max_size(), os.cpu_count() or 1)
    running = [database.reading((1,), key_id="busy") for _ in range(share)]
    leases = [database.reading((1,), key_id="busy") for _ in range(2)]
    for lease in running:
        await lease.__aenter__()
    gone, waiting = [asyncio.create_task(lease.__aenter__()) for lease in leases]
    async with database.reading((1,), key_id="other"), database.reading((1,)) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert not gone.done() and not waiting.done()

    gone.cancel()
    await running[0].__aexit__(None, None, None)

    assert await (await waiting).fetchval("SELECT 1") == 1
    for lease in (*running[1:], leases[-1]):
        await lease.__aexit__(None, None, None)
    assert not database.share_of("busy").locked()


async def test_who_waits_for_a_connection_is_handed_one_with_its_own_scope(any_database_url: str) -> None:
    """With fewer connections than requests each sees its own accounts; one that is cancelled while it waits, or at the
    moment in which it is handed one, takes none away, and neither does one that the server has ended.
    """
    database = await Database.open(any_database_url, read_connections=2)
    await database.owner.execute(PARTITION)
    for account in (1, 1, 2, 3):
        await database.writer.execute(INSERT, account, DAY)

    async def counted(accounts: tuple[int, ...], *, ends: bool = False) -> int:
        async with database.reading(accounts) as connection:
            if ends:
                await database.owner.execute("SELECT pg_terminate_backend($1::integer)", connection.get_server_pid())
            return await connection.fetchval(COUNT)

    rows = {(1,): 2, (2,): 1, (1, 3): 3}
    for _ in range(3):
        asked = [accounts for accounts in rows for _ in range(5)]
        held = [database.reading((1,)) for _ in range(2)]
        for lease in held:
            await lease.__aenter__()
        tasks = [asyncio.create_task(counted(accounts, ends=index == 4)) for index, accounts in enumerate(asked)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await held[0].__aexit__(None, None, None)  # hands it to the second, before that one runs
        tasks[1].cancel()
        await held[1].__aexit__(None, None, None)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        gone = [index for index, count in enumerate(found) if isinstance(count, BaseException)]
        assert gone == [0, 1, 4]
        assert [found[index] for index in range(15) if index not in gone] == [
            rows[accounts] for index, accounts in enumerate(asked) if index not in gone
        ]
    async with asyncio.timeout(60), database.reading((2,)) as one, database.reading((1,)) as other:
        assert (await one.fetchval(COUNT), await other.fetchval(COUNT)) == (1, 2)
    await database.close()


async def test_a_scoped_connection_whose_scope_was_never_set_sees_nothing(database: Database) -> None:
    """A connection sees no row until a scope is set."""
    connection = await database.scoped._pool.acquire()
    assert await connection.fetchval(COUNT) == 0
    await database.scoped._pool.release(connection)


async def test_readers_cannot_write(database: Database) -> None:
    """The role of scoped readers has no privilege to change anything."""
    async with database.reading((1,)) as connection:
        for statement in ("DELETE FROM call", "UPDATE call SET failed = true", "INSERT INTO account VALUES (1)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_a_partition_cannot_be_read_around_its_parent(database: Database) -> None:
    """Privileges stand on the parents: a partition is not readable by its own name."""
    for accounts in ((1,), None):
        async with database.reading(accounts) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetchval("SELECT count(*) FROM call_p")


async def test_the_writer_cannot_remove_or_change_a_call(database: Database) -> None:
    """What is known stays as it was recorded: the service deletes nothing, and may only fill in what is unknown."""
    known = (
        "UPDATE call SET amount = 1, currency = 'USD', amount_source = 1, input_tokens = 3, tags = '{\"team\": \"a\"}'"
    )
    await database.writer.execute(known)
    for statement in (
        "DELETE FROM call",
        "TRUNCATE call",
        *(
            f"UPDATE call SET {changed}"
            for changed in (
                *("amount = 0", "amount = NULL", "currency = 'EUR'", "amount_source = 3", "input_tokens = 4"),
                *("model = 'x'", "failed = true", "user_token = 1", "source_id = 'y'", "tags = '{}'"),
                "input_tokens = NULL",
            )
        ),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.writer.execute(statement)
    # Citus, which distributes calls by it, refuses that before any trigger does.
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
        await database.writer.execute("UPDATE call SET account_id = 2")
    await database.writer.execute("UPDATE call SET output_tokens = 1, digest = 7, digests = '{0}'")


async def test_no_wall_is_missing_where_the_owner_may_make_roles(database: Database) -> None:
    """On our own server both roles exist and the owner bypasses nothing."""
    assert database.missing_protections == ()


async def test_missing_protections_are_named_where_the_owner_is_a_superuser(any_server) -> None:
    """An operator who gives a superuser's address is told so."""
    with any_server.database(template=any_server.template()) as url:
        opened = await Database.open(url.replace("calledger_owner", "postgres"))
        try:
            assert any("superuser" in missing for missing in opened.missing_protections)
        finally:
            await opened.close()
