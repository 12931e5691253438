"""The fixtures themselves: which servers the tests really run on."""

import asyncpg


async def test_fresh_database_is_migrated_and_owned(database_url: str) -> None:
    """A test's database is PostgreSQL 18, has the tables of the migrations, and its owner is no superuser."""
    connection = await asyncpg.connect(database_url)
    try:
        major, tables, superuser = await connection.fetchrow(
            "SELECT current_setting('server_version_num')::int / 10000, to_regclass('account') IS NOT NULL, "
            "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        )
    finally:
        await connection.close()

    assert (major, tables, superuser) == (18, True, False)


async def test_empty_database_has_no_tables(any_empty_database_url: str) -> None:
    """An unmigrated database is empty on every server, whatever ran on that server before."""
    connection = await asyncpg.connect(any_empty_database_url)
    try:
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()

    assert tables == 0


async def test_oldest_supported_server_is_migrated(any_database_url: str) -> None:
    """The migrations run on both servers."""
    connection = await asyncpg.connect(any_database_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('account') IS NOT NULL")
    finally:
        await connection.close()
