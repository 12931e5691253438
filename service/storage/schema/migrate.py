"""Runs the migrations, one process at a time."""

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.migrations.api import migrate as tortoise_migrate

from service.storage.errors import DatabaseError
from service.storage.schema import row_security
from service.storage.schema.guard import record_program, refuse_newer
from service.storage.schema.tortoise import APP, tortoise_config

# Tortoise takes no lock of its own: on an empty database, two runners would race to create the same tables.
LOCK = 0x63616C6C_0001
"""The advisory lock of whoever changes the schema; every process that starts takes it once."""
LEAST_VERSION = 150_000
_APPLIED = "SELECT count(*) FROM tortoise_migrations"


async def migrate(url: str, *, repair: bool = False) -> list[str]:
    """Bring the database at `url` to the newest schema. A second process waits, and then finds nothing to do.

    Privileges and row-level security are put in force when a migration has run or a role has just been made, and with
    `repair` at any time. Returns in words what somebody had changed and this has put right.

    Raises DatabaseError when the server cannot be reached or is older than PostgreSQL 15, NewerSchemaError when a later
    program has migrated the database. The connection is tried here first, because Tortoise takes a failed look at its
    own records for an empty database.
    """
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(
            f"the database does not answer ({type(error).__name__}); check CALLEDGER_DATABASE_URL"
        ) from error
    try:
        version = connection.get_server_version()
        if version.major * 10_000 < LEAST_VERSION:
            raise DatabaseError(f"the database is PostgreSQL {version.major}; calledger needs 15 or later")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await refuse_newer(connection)
        # In a context of its own, which closes the connections that Tortoise opens and then forgets.
        async with TortoiseContext():
            await tortoise_migrate(config=tortoise_config(url, max_connections=1), app_labels=[APP])
        await record_program(connection)
        applied = await connection.fetchval(_APPLIED)
        if await row_security.is_due(connection, applied):
            await row_security.put_in_force(connection, applied)
            return []
        return await row_security.put_in_force(connection, applied) if repair else []
    finally:
        await connection.close()
