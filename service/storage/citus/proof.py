"""Whether row-level security holds on the workers: not what the catalogue says, but what reads return."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import asyncpg

from service.storage.citus.engine import Engine
from service.storage.connection import Connection

_ANY_ACCOUNT: Final = "SELECT account_id FROM call LIMIT 1"
_SEEN: Final = (
    "SELECT account_id = $1 AS own, count(*) FROM (SELECT account_id FROM call LIMIT 100) AS calls GROUP BY 1"
)
_NOBODY: Final = 0
"""The number of no account."""


Reading = Callable[[tuple[int, ...]], AbstractAsyncContextManager[Connection]]
"""Lends a connection that is kept to accounts."""


async def missing_proof(owner: asyncpg.Pool, reading: Reading, engine: Engine) -> str | None:
    """What of row-level security does not hold, in words; None where it does, or where there is no call to read yet.

    A call is read as its account sees it, and then as nobody.
    """
    if engine.probes_by_account:
        return None
    account = await owner.fetchval(_ANY_ACCOUNT)
    if account is None:
        return None
    try:
        own, others = await _seen(reading, account)
        nobodys = sum(await _seen(reading, _NOBODY))
    except asyncpg.PostgresError as error:
        return (
            f"the workers do not answer the role that is kept to accounts ({type(error).__name__}): it has to log in "
            "there; docs/scale.md says how"
        )
    if nobodys or others:
        return "the workers show rows of other accounts to a connection that is kept to some"
    if not own:
        return "the workers show no rows to a connection that is kept to accounts: its setting does not reach them"
    return None


async def _seen(reading: Reading, account: int) -> tuple[int, int]:
    """How many calls of `account` are seen by a connection that is kept to it, and how many of others."""
    async with reading((account,)) as connection:
        rows = {row["own"]: row["count"] for row in await connection.fetch(_SEEN, account)}
    return rows.get(True, 0), rows.get(False, 0)
