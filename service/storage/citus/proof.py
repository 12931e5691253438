"""Whether row-level security holds on the workers: not what the catalogue says, but what reads return."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import asyncpg

from service.storage.citus.engine import Engine
from service.storage.connection import Connection

_ACCOUNTS: Final = """
    WITH worker AS (
        SELECT nodename, nodeport, format('SELECT account_id FROM (%s) AS calls LIMIT 1', string_agg(
            format('(SELECT account_id FROM %s LIMIT 1)', shard_name('call'::regclass, shardid)), ' UNION ALL '
        )) AS command
        FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
        WHERE logicalrelid = 'call'::regclass AND noderole = 'primary'
        GROUP BY nodename, nodeport
    ), asked AS (
        SELECT array_agg(nodename) AS names, array_agg(nodeport) AS ports, array_agg(command) AS commands FROM worker
    )
    SELECT node_name || ':' || node_port AS worker, success, result
    FROM asked, master_run_on_worker(names, ports, commands, true) ORDER BY 1
"""
"""An account of which each worker has a call; that one is away does not keep the others from answering."""
_SEEN: Final = (
    "SELECT account_id = $1 AS own, count(*) FROM (SELECT account_id FROM call LIMIT 100) AS calls GROUP BY 1"
)
_SEEN_ON_ITS_WORKER: Final = """
    SELECT account_id = $1 AS own, count(*)
    FROM (SELECT account_id FROM call WHERE account_id = $1 LIMIT 100) AS calls GROUP BY 1
"""
"""The same of the worker alone that has the account."""
_NOBODY: Final = 0
"""The number of no account."""


Reading = Callable[[tuple[int, ...]], AbstractAsyncContextManager[Connection]]
"""Lends a connection that is kept to accounts."""


async def missing_proof(owner: asyncpg.Pool, reading: Reading, engine: Engine) -> str | None:
    """What of row-level security does not hold, in words; None where it does, or where there is no call to read yet.

    A call of each worker is read as its account sees it, and then as nobody. Where a worker is away the others are
    proved alone, and it is named.
    """
    if engine.probes_by_account:
        return None
    try:
        workers = await owner.fetch(_ACCOUNTS)
        away = [row["worker"] for row in workers if not row["success"]]
        for row in workers:
            if row["success"] and row["result"]:
                statement = _SEEN_ON_ITS_WORKER if away else _SEEN
                if wrong := await _wrong(reading, int(row["result"]), statement):
                    return wrong
    except asyncpg.PostgresError as error:
        return (
            f"the workers do not answer the role that is kept to accounts ({type(error).__name__}): it has to log in "
            "there; docs/scale.md says how"
        )
    if away:
        named = ", ".join(f"`{worker}`" for worker in away)
        return (
            f"row-level security is not proved on {named}, which does not answer: calls of its accounts are neither "
            "read nor stored meanwhile; `calledger status` proves it when it answers"
        )
    return None


async def _wrong(reading: Reading, account: int, statement: str) -> str | None:
    """What a connection that is kept to `account`, and one that is kept to nobody, see that they must not, or do not
    see.
    """
    own, others = await _seen(reading, account, statement, account)
    nobodys = sum(await _seen(reading, _NOBODY, statement, account))
    if nobodys or others:
        return "the workers show rows of other accounts to a connection that is kept to some"
    if not own:
        return "the workers show no rows to a connection that is kept to accounts: its setting does not reach them"
    return None


async def _seen(reading: Reading, scope: int, statement: str, account: int) -> tuple[int, int]:
    """How many calls of `account` are seen by a connection that is kept to `scope`, and how many of others."""
    async with reading((scope,)) as connection:
        rows = {row["own"]: row["count"] for row in await connection.fetch(statement, account)}
    return rows.get(True, 0), rows.get(False, 0)
