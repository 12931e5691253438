"""What somebody does to the catalogue behind our back, without touching a row: each of it is named.

By `fsck`, by the statement of `attest`, and at start; what a superuser does is done on a server of its own.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from manipulating import Case
from retaining import NOW, failed, open_retained

from service.retention.audit.start_check import differences_at_start
from service.storage.schema.bypasses import bypass_differences
from service.storage.schema.catalogue import catalogue_differences, expected_tables

STATEMENTS = {
    "CREATE RULE r AS ON INSERT TO call_held DO INSTEAD NOTHING": "the rule `r` of `call_held` is none of ours",
    "CREATE RULE r AS ON UPDATE TO hold DO ALSO NOTHING": "the rule `r` of `hold` is none of ours",
    "ALTER TABLE hold ALTER COLUMN placed_at SET DEFAULT 'epoch'": "the column `hold.placed_at` is not as it was made",
    "ALTER TABLE hold ALTER COLUMN owner DROP NOT NULL": "the column `hold.owner` is not as it was made",
    "ALTER TABLE erasure ADD COLUMN due boolean": "the column `erasure.due` is none of ours",
    "ALTER TABLE api_key ADD COLUMN live boolean GENERATED ALWAYS AS (revoked_at IS NULL) STORED": (
        "the column `api_key.live` is none of ours"
    ),
    "ALTER TABLE call DROP COLUMN digests": "the column `call.digests` is missing",
    "ALTER TABLE account DROP CONSTRAINT account_name_key": "the constraint `account_name_key` of `account` is missing",
    "ALTER TABLE account_tier DROP CONSTRAINT account_tier_account_id_fkey": (
        "the constraint `account_tier_account_id_fkey` of `account_tier` is missing"
    ),
    "ALTER TABLE call_held ADD CONSTRAINT none CHECK (false) NOT VALID": (
        "the constraint `none` of `call_held` is none of ours"
    ),
    "DROP INDEX export_requested_by": "the index `export_requested_by` of `export` is missing",
    "DROP INDEX call_source_id": "the index `call_source_id` of `call` is missing",
    "CREATE UNIQUE INDEX one_hold ON hold ((true))": "the index `one_hold` of `hold` is none of ours",
    "CREATE OR REPLACE FUNCTION calledger_leaf_kind(leaf bytea) RETURNS text LANGUAGE sql IMMUTABLE"
    " AS $$ SELECT 'STARTED' $$": "the function `calledger_leaf_kind(leaf bytea)` is not as it was made",
    "ALTER FUNCTION calledger_refuse_change() SECURITY DEFINER": (
        "the function `calledger_refuse_change()` is not as it was made"
    ),
    "ALTER FUNCTION calledger_ledger_head(bigint) SET search_path = elsewhere": "is not as it was made",
    "CREATE FUNCTION calledger_leaf_kind(leaf text) RETURNS text LANGUAGE sql AS $$ SELECT leaf $$": (
        "the function `calledger_leaf_kind(leaf text)` is none of ours"
    ),
    "ALTER TABLE call FORCE ROW LEVEL SECURITY": "the table `call` is not as it was made",
    "ALTER TABLE ledger_entry SET UNLOGGED": "the table `ledger_entry` is not as it was made",
    "CREATE TABLE more () INHERITS (api_key)": "the table `more` inherits from `api_key`",
    "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
    " CREATE TRIGGER never BEFORE INSERT ON hold FOR EACH ROW EXECUTE FUNCTION never()": (
        "the trigger `never` of `hold` is none of ours"
    ),
    "CREATE PUBLICATION away FOR TABLE call_held": "the publication `away` sends rows of `call_held` away",
    "CREATE TABLE old_errors AS SELECT * FROM call_error": "the table `old_errors` is none of ours",
    "CREATE SCHEMA bak; CREATE TABLE bak.call AS SELECT * FROM call": "the table `bak.call` is none of ours",
    "CREATE MATERIALIZED VIEW peek AS SELECT * FROM call": "the materialized view `peek` is none of ours",
    "CREATE FUNCTION peek() RETURNS SETOF call LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM call'": (
        "the function `peek()` runs as its owner, `calledger_owner`, whoever calls it"
    ),
    "CREATE OR REPLACE FUNCTION calledger_known_stays() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'": "the function `calledger_known_stays()` is not as it was made",
    "GRANT UPDATE (account_id) ON call TO calledger_app_all": (
        "`calledger_app_all` has the privilege UPDATE on the column `call.account_id` alone"
    ),
    "GRANT UPDATE ON hold TO PUBLIC": "everybody has the privilege UPDATE on `hold`, which only the service has",
    "GRANT UPDATE (role) ON api_key TO PUBLIC": "everybody has the privilege UPDATE on `api_key`",
}


@pytest.fixture
async def case(database_url: str, tmp_path: Path) -> AsyncIterator[Case]:
    """A hold, a call and an error in a ledger that is open."""
    async with open_retained(database_url, tmp_path) as retained:
        await retained.report(failed("a", NOW))
        await retained.hold()
        case = Case(retained, tmp_path)
        await case.start()
        yield case


@pytest.mark.parametrize(("statement", "says"), STATEMENTS.items(), ids=lambda text: text[:48])
async def test_a_catalogue_that_differs_is_named(case: Case, statement: str, says: str) -> None:
    """What was added, taken away or changed: by fsck, in the statement, and at start."""
    await case.sql(statement)
    found, at_start = (await case.fsck())["catalogue"], await differences_at_start(case.retained.retention)
    assert says in found
    assert any(says in one for one in at_start), at_start
    with suppress(asyncpg.PostgresError):  # some of it stops the statement itself from being made
        assert says in (await case.attested())["fsck, catalogue"]


async def test_a_trigger_or_a_rule_on_a_partition_is_named(case: Case) -> None:
    """What stands on one partition alone is none of ours, wherever it is."""
    name = await case.retained.value("SELECT name FROM calledger_partitions('{call}') LIMIT 1")
    await case.sql(f"CREATE RULE r AS ON UPDATE TO {name} DO INSTEAD NOTHING")
    assert f"the rule `r` of `{name}` is none of ours" in (await case.fsck())["catalogue"]


async def test_what_only_makes_reading_faster_is_nobodys_business(case: Case) -> None:
    """An index that refuses nothing and runs nothing, and a role that reads."""
    await case.sql("CREATE INDEX by_model ON call (model)")
    await case.sql("GRANT SELECT ON call TO PUBLIC; REVOKE SELECT ON call FROM PUBLIC")
    await case.sql("CREATE VIEW models AS SELECT DISTINCT model FROM call")
    assert "catalogue" not in await case.fsck()


AS_SUPERUSER = {
    "ALTER ROLE calledger_app BYPASSRLS": (
        "ALTER ROLE calledger_app NOBYPASSRLS", "the role `calledger_app` passes by row-level security",
    ),
    "ALTER ROLE calledger_app_all CREATEROLE": (
        "ALTER ROLE calledger_app_all NOCREATEROLE", "the role `calledger_app_all` may make roles",
    ),
    "GRANT pg_read_all_data TO calledger_app": (
        "REVOKE pg_read_all_data FROM calledger_app", "the role `calledger_app` is a member of `pg_read_all_data`",
    ),
    "ALTER ROLE calledger_owner SET session_replication_role = replica": (
        "ALTER ROLE calledger_owner RESET session_replication_role", "the setting `session_replication_role=replica`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("statement", AS_SUPERUSER, ids=lambda text: text[:40])
async def test_what_is_done_to_the_roles_is_named(any_server: Any, any_database_url: str, statement: str) -> None:
    """Attributes, memberships and settings that let a role past what is granted to it."""
    undo, says = AS_SUPERUSER[statement]
    any_server.execute(statement)
    connection = await asyncpg.connect(any_database_url)
    try:
        said = await bypass_differences(connection, expected_tables())
    finally:
        await connection.close()
        any_server.execute(undo)
    assert any(says in one for one in said), said


EVENT_TRIGGER = """
    CREATE FUNCTION on_every_change() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER watcher ON ddl_command_end EXECUTE FUNCTION on_every_change();
"""


async def test_an_event_trigger_and_another_owner_are_named(any_server: Any, any_database_url: str) -> None:
    """A superuser's hand in every change of a table, and a table that belongs to somebody else."""
    superuser = await asyncpg.connect(any_server.url(_database(any_database_url), user="postgres"))
    connection = await asyncpg.connect(any_database_url)
    try:
        await superuser.execute(EVENT_TRIGGER)
        await superuser.execute("ALTER TABLE erasure OWNER TO postgres")
        said = await bypass_differences(connection, expected_tables())
    finally:
        await connection.close()
        await superuser.close()
    assert "the event trigger `watcher` runs at every change of a table" in said
    assert any(one.startswith("the table `erasure` belongs to `postgres`") for one in said), said
    assert not await _differences(any_database_url)


def _database(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0] if "?host" not in url else url.split("@/")[1].partition("?")[0]


async def _differences(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return await catalogue_differences(connection)
    finally:
        await connection.close()
