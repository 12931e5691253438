"""The migrations make exactly the catalogue that the models and the named statements expect."""

import asyncio
import os
import re
import sys

import asyncpg
from tortoise.context import TortoiseContext

from migrations import __path__ as migration_folders
from service.query.usage.rollup_tables import BY_KEY, OVER_ALL_ACCOUNTS
from service.retention.rollups.tag_sums import EVERY_TABLE
from service.storage.schema.bypasses import bypass_differences
from service.storage.schema.catalogue import LIST, catalogue_differences, expected, found, tables
from service.storage.schema.migrate import migrate
from service.storage.schema.tortoise import tortoise_config

COLUMNS = """
SELECT table_name || '.' || column_name AS place,
       data_type || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END AS kind
FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'tortoise_migrations'
"""
UNSORTED = """
SELECT c.relname || '.' || a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
  AND c.relname <> 'tortoise_migrations'
  AND t.typcategory = 'S' AND a.attcollation <> '"C"'::regcollation
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ANY ($1)"
STORES = ["call", "call_error", "usage_quarter", "usage_day", "usage_delta", "call_held", "call_error_held"]
STORES += [*OVER_ALL_ACCOUNTS, BY_KEY.several, "ingest_refusal", "correction", "bill_claim", "idempotency_key"]
STORES += ["import_checkpoint", "source", "key_spending", "reconciliation", "reconciliation_difference", "cold_file"]
STORES += ["fsck_result", "stored_on_worker", "usage_unsummed", "cold_rewrite", "attestation"]
STORES += ["call_change", "call_change_new", "change_head", "change_epoch", "change_floor"]
STORES += [*EVERY_TABLE, "usage_tag_key", "usage_tag_delta", "usage_tag_crowded"]


async def columns(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    try:
        return {row["place"]: row["kind"] for row in await connection.fetch(COLUMNS)}
    finally:
        await connection.close()


async def test_migrated_control_tables_equal_the_models(any_empty_database_url: str, embedded_18) -> None:
    """What the migrations make of the control tables is what Tortoise makes of the models, column by column."""
    await migrate(any_empty_database_url)
    migrated = await columns(any_empty_database_url)
    with embedded_18.database() as other:
        async with TortoiseContext() as context:
            await context.init(config=tortoise_config(other))
            await context.generate_schemas()
        modelled = await columns(other)

    control = {place: kind for place, kind in migrated.items() if place.split(".")[0] not in STORES}
    assert control == modelled


async def test_every_text_column_compares_by_code_point(any_empty_database_url: str) -> None:
    """Order and comparison never depend on the server's locale."""
    await migrate(any_empty_database_url)
    connection = await asyncpg.connect(any_empty_database_url)
    unsorted = await connection.fetch(UNSORTED)
    await connection.close()

    assert unsorted == []


async def test_calls_have_no_index_on_time_but_brin(any_empty_database_url: str) -> None:
    """A btree on time would be taken for an account's page, and read fifty times as much; models have filters."""
    await migrate(any_empty_database_url)
    connection = await asyncpg.connect(any_empty_database_url)
    found = [row["indexdef"] for row in await connection.fetch(INDEXES, ["call", "call_error"])]
    await connection.close()

    assert sorted(re.search(r"USING (.*)", text)[1] for text in found) == [
        "brin (model text_bloom_ops (n_distinct_per_range='64')) WITH (pages_per_range='32')",
        "brin (started_at)",
        "btree (account_id, tier, occurred_at, id)",
        "btree (account_id, tier, started_at, id)",
        "hash (source_id)",
        "hash (trace_id)",
    ]


async def test_two_runners_at_once_both_succeed(any_empty_database_url: str) -> None:
    """The advisory lock lets one migrate while the other waits and then finds nothing to do."""
    runners = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, any_empty_database_url, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    outcomes = [(await runner.communicate())[1] for runner in runners]

    assert [runner.returncode for runner in runners] == [0, 0], outcomes


MIGRATE = "import asyncio, sys; from service.storage.schema.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"


async def test_migrating_again_changes_nothing(any_database_url: str) -> None:
    """A second run finds the newest schema and leaves it as it is."""
    before = await columns(any_database_url)
    await migrate(any_database_url)

    assert await columns(any_database_url) == before


def test_migrations_are_named_and_numbered_without_gaps() -> None:
    """0001_name, 0002_name, ...: two branches cannot both bring the next one unnoticed."""
    from pathlib import Path

    names = sorted(path.stem for path in Path(next(iter(migration_folders))).glob("[0-9]*.py"))

    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) and "auto" not in name for name in names)


WRITE = "WRITE_CATALOGUE"
HOW = f"the migrations make something else: `{WRITE}=1 pytest {__file__}` writes the list anew; read what changed in it"


async def test_the_list_is_what_the_migrations_make(any_empty_database_url: str) -> None:
    """Every object with its definition, one per line; nothing around them is amiss."""
    await migrate(any_empty_database_url)
    connection = await asyncpg.connect(any_empty_database_url)
    try:
        there = await found(connection, await tables(connection))
        if os.environ.get(WRITE):
            LIST.write_text("".join(f"{name}\t{definition}\n" for name, definition in there.items()), "utf-8")
            expected.cache_clear()
        assert dict(expected()) == there, HOW
        assert await catalogue_differences(connection) == []
        assert await bypass_differences(connection, await tables(connection)) == []
    finally:
        await connection.close()
