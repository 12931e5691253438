"""Accounts by name, page by page, with how many calls each has."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from service.storage.citus.engine import engine_on
from service.storage.connection import Connection
from service.storage.statements.unsummed import UNSUMMED_CALLS, calls_of_days, is_unsummed

_PAGE: Final = """
    SELECT id, name, created_at FROM account
    WHERE name COLLATE "C" > $1 AND name NOT LIKE 'erased:%' AND ($2::integer[] IS NULL OR id = ANY ($2))
    ORDER BY name COLLATE "C" LIMIT $3
"""
_COUNT: Final = """
    SELECT count(*) FROM account WHERE name NOT LIKE 'erased:%' AND ($1::integer[] IS NULL OR id = ANY ($1))
"""
_CALLS: Final = """
    SELECT account_id, sum(calls)::bigint AS calls FROM (
        SELECT account_id, calls FROM usage_day WHERE account_id = ANY ($1)
        UNION ALL SELECT account_id, calls FROM usage_delta WHERE account_id = ANY ($1)
    ) AS counted GROUP BY account_id
"""
_CALLS_ALSO_UNSUMMED: Final = _CALLS.replace(
    ") AS counted",
    f""" AND NOT {is_unsummed("usage_day")}
        UNION ALL SELECT account_id, 1 FROM {UNSUMMED_CALLS}
        WHERE {calls_of_days("'usage_day' = ANY (sums)", "account_id = ANY ($1) AND correction_of IS NULL")}
    ) AS counted""",  # noqa: S608 - names of our own
)
"""Calls by account, where some days have no sums."""
_NUMBER: Final = "SELECT id FROM account WHERE name = $1"
_SOME: Final = "SELECT id, name, created_at FROM account WHERE id = ANY ($1) AND name NOT LIKE 'erased:%'"
"""Accounts by their ids."""


async def page_accounts(
    connection: Connection, size: int, *, behind: str, accounts: Sequence[int] | None
) -> list[asyncpg.Record]:
    """At most `size` accounts (`id`, `name`, `created_at`) whose names come after `behind`."""
    return await connection.fetch(_PAGE, behind, None if accounts is None else list(accounts), size)


async def accounts_of(connection: Connection, ids: Sequence[int]) -> list[asyncpg.Record]:
    """Those accounts (`id`, `name`, `created_at`) of these ids that there are, that row-level security lets the
    connection see, and that are not erased.
    """
    return await connection.fetch(_SOME, list(ids))


async def count_accounts(connection: Connection, accounts: Sequence[int] | None) -> int:
    """How many of the accounts with these ids there are; None: of all."""
    return await connection.fetchval(_COUNT, None if accounts is None else list(accounts))


async def count_calls(connection: Connection, accounts: Sequence[int]) -> Mapping[int, int]:
    """Calls by account; one without any is left out."""
    statement = _CALLS_ALSO_UNSUMMED if engine_on(connection).leaves_days_unsummed else _CALLS
    return {row["account_id"]: row["calls"] for row in await connection.fetch(statement, list(accounts))}


async def account_id(connection: Connection, name: str) -> int | None:
    """The id of the account, if row-level security lets the connection see it; else None."""
    return await connection.fetchval(_NUMBER, name)
