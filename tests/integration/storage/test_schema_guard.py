"""A program that is older than the schema of its database stops, and says what to install."""

from pathlib import Path

import asyncpg
import pytest
from running import bare_command

from service.storage.schema.guard import NewerSchemaError, known_migrations
from service.storage.schema.migrate import migrate

NEWER = "0999_what_comes_later"


async def upgrade(url: str, program: str | None) -> None:
    """As a later version does: it runs a migration, and says who it is."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('calledger', $1, now())", NEWER
        )
        if program is not None:
            await connection.execute("INSERT INTO schema_program VALUES ($1, $2, now())", NEWER, program)
    finally:
        await connection.close()


async def test_a_newer_schema_is_refused_by_name(any_database_url: str) -> None:
    """The migration that is not known and the version that ran it are named; nothing is changed."""
    await upgrade(any_database_url, "4.2.0")
    with pytest.raises(NewerSchemaError, match=rf"`{NEWER}`.*install calledger 4\.2\.0 or later"):
        await migrate(any_database_url)


async def test_a_newer_schema_of_nobody_is_refused_too(any_database_url: str) -> None:
    """A later program that has left no name is refused all the same."""
    await upgrade(any_database_url, None)
    with pytest.raises(NewerSchemaError, match="the version that was installed last or later"):
        await migrate(any_database_url)


@pytest.mark.parametrize("arguments", ["status", "fsck", "serve --port 0", "migrate", "keys list"])
async def test_every_command_refuses(database_url: str, tmp_path: Path, arguments: str) -> None:
    """With one line that says what to install, and exit code 1."""
    await upgrade(database_url, "4.2.0")
    environment = {"CALLEDGER_DATABASE_URL": database_url}
    done = bare_command(*arguments.split(), "--data", str(tmp_path / "data"), environment=environment)
    assert done.returncode == 1, done
    assert "install calledger 4.2.0 or later" in done.stderr


async def test_each_migration_has_its_program(database_url: str) -> None:
    """Whoever ran a migration is on record, so that a later program's can be named."""
    connection = await asyncpg.connect(database_url)
    try:
        await migrate(database_url)
        rows = await connection.fetch("SELECT migration FROM schema_program")
    finally:
        await connection.close()
    assert {row["migration"] for row in rows} == known_migrations()
