"""Which version of this program made the schema: an older one must not work on it.

Each migration is recorded with the version of the program that ran it. A program that finds a migration that it does
not know is older than the database: its statements would leave out what later ones keep, rollups among it. It stops,
and names the version to install.
"""

from collections.abc import Iterable
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from service.storage.connection import Connection
from service.storage.errors import DatabaseError
from service.storage.schema.tortoise import APP

_IS_MIGRATED: Final = "SELECT to_regclass('tortoise_migrations') IS NOT NULL"
_RECORDED: Final = "SELECT to_regclass('schema_program') IS NOT NULL"
_APPLIED: Final = "SELECT name FROM tortoise_migrations WHERE app = $1 ORDER BY name"
_PROGRAM: Final = "SELECT program FROM schema_program WHERE migration = ANY ($1) ORDER BY applied_at DESC LIMIT 1"
_RECORD: Final = """
    INSERT INTO schema_program (migration, program, applied_at)
    SELECT name, $2, clock_timestamp() FROM tortoise_migrations WHERE app = $1
    ON CONFLICT (migration) DO NOTHING
"""


class NewerSchemaError(DatabaseError):
    """the database has the schema of a newer calledger"""


def own_version() -> str:
    """The version of this program; `unknown` where it was not installed."""
    try:
        return version("calledger")
    except PackageNotFoundError:
        return "unknown"


def known_migrations() -> frozenset[str]:
    """The names of the migrations that this program has."""
    files = resources.files("migrations").iterdir()
    return frozenset(file.name.removesuffix(".py") for file in files if file.name[:4].isdigit())


async def refuse_newer(connection: Connection) -> None:
    """Raise NewerSchemaError when a migration was run here that this program does not know."""
    if not await connection.fetchval(_IS_MIGRATED):
        return
    unknown = sorted({row["name"] for row in await connection.fetch(_APPLIED, APP)} - known_migrations())
    if unknown:
        raise NewerSchemaError(
            f"the database has the schema of a newer calledger ({_first_names(unknown)}), and this is calledger "
            f"{own_version()}: install {await _version_that_ran(connection, unknown)} or later, or restore the "
            "database from a backup of before the upgrade"
        )


async def is_newest(connection: Connection) -> bool:
    """Whether no later program has migrated the database since this one began to work on it."""
    try:
        await refuse_newer(connection)
    except NewerSchemaError:
        return False
    return True


async def record_program(connection: Connection) -> None:
    """Record this program's version for the migrations that have none."""
    await connection.execute(_RECORD, APP, own_version())


async def _version_that_ran(connection: Connection, unknown: list[str]) -> str:
    """The version that ran these migrations, in words."""
    program = await connection.fetchval(_PROGRAM, unknown) if await connection.fetchval(_RECORDED) else None
    return f"calledger {program}" if program else "the version that was installed last"


def _first_names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in list(names)[:3])
