"""Checks of the catalogue (row-level security, triggers, definitions, roles), and of the ledger's columns, notes and
mirror.
"""

from datetime import datetime
from typing import Final

from service.ledger import check_columns, check_mirror, check_notes, history_problem
from service.retention.context import RetentionContext
from service.storage.citus.engine import copies_on
from service.storage.connection import Connection
from service.storage.schema import row_security
from service.storage.schema.bypasses import bypass_differences
from service.storage.schema.catalogue import catalogue_differences, expected_tables

Result = tuple[list[str], str]

_TRIGGERS: Final = """
    SELECT c.relname AS table, t.tgname AS name, t.tgenabled::text AS state, p.prosrc AS body
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
"""
"""The triggers of our tables, with their state and the text of their functions."""
_ENABLED: Final = ("O", "A")
_APPEND_ONLY: Final = ("ledger_entry", "ledger_checkpoint")


async def check_catalogue(context: RetentionContext, _: datetime) -> Result:
    """Row-level security, its policies, privileges and triggers are as the code defines them."""
    async with context.owner.acquire() as connection:
        wrong = [gap.description for gap in await row_security.gaps(connection)]
        wrong += await _triggers(connection)
    return wrong, "policies, privileges and triggers are as they were made"


async def _triggers(connection: Connection) -> list[str]:
    there = {(row["table"], row["name"]): row for row in await connection.fetch(_TRIGGERS)}
    wrong = [
        f"the trigger `{name}` of `{table}` is switched off"
        for (table, name), row in sorted(there.items())
        if row["state"] not in _ENABLED
    ]
    for table in _APPEND_ONLY:
        row = there.get((table, "append_only"))
        if row is None:
            wrong.append(f"the trigger `append_only` of `{table}` is missing: the ledger can be changed")
        elif "RAISE EXCEPTION" not in row["body"]:
            wrong.append(f"the trigger `append_only` of `{table}` no longer refuses changes")
    return wrong


async def check_definitions(context: RetentionContext, _: datetime) -> Result:
    """Tables, columns, constraints, indexes, rules and functions are as the migrations made them.

    No other role has rights on them, and they are not replicated elsewhere.
    """
    async with context.owner.acquire() as connection:
        wrong = await catalogue_differences(connection)
        wrong += await bypass_differences(connection, [*expected_tables(), *await copies_on(connection)])
    return wrong, "tables, indexes, rules, functions and roles are as they were made"


async def check_ledger_columns(context: RetentionContext, _: datetime) -> Result:
    """The columns next to each leaf agree with the leaf."""
    return await check_columns(context.ledger), "the columns next to the leaves agree with them"


async def check_ledger_notes(context: RetentionContext, _: datetime) -> Result:
    """Every note is the one that was written, or its erasure is recorded."""
    return await check_notes(context.ledger)


async def check_ledger_mirror(context: RetentionContext, _: datetime) -> Result:
    """The mirror is complete, and the same as the database."""
    return await check_mirror(context.ledger)


async def check_history(context: RetentionContext, _: datetime) -> Result:
    """The ledger still begins with what the keyring noted of it."""
    problem = await history_problem(context.ledger)
    wrong = [] if problem is None else [f"{problem}; restore the mirror, or `calledger ledger accept-loss`"]
    return wrong, "the ledger begins with what the keyring remembers of it"
