"""Statements on a coordinator that see a call together with its deltas and changes, or none of them.

Citus commits on one node after the other, and has no snapshot over nodes: for a moment, and as long as a node is away,
calls are there without their deltas, or deltas without their calls. Who makes sums of calls in place of deltas would
count those twice, or not at all, and who compares them would find a difference. A transaction that is prepared on the
coordinator keeps its locks on the deltas, and one that has ended there is prepared on those workers that have not heard
of it: so it can be waited for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from service.storage.citus.engine import engine_on
from service.storage.connection import Connection
from service.storage.errors import CommitInDoubtError

_TRIES: Final = 150
_PAUSE_S: Final = 1.0
"""Citus settles what a node has left in doubt once a minute (`citus.recover_2pc_interval`)."""

_BRIEFLY: Final = "SET LOCAL lock_timeout = '1s'"
_PATIENTLY: Final = "SET LOCAL lock_timeout = DEFAULT"
_NO_WRITERS: Final = "LOCK TABLE usage_delta, usage_tag_delta IN SHARE MODE"
"""Waits for those who have written deltas, and has those who come wait; a savepoint lets go of it."""
_IN_DOUBT: Final = r"""
    SELECT coalesce(bool_or(NOT success OR result <> '0'), false) FROM run_command_on_workers($$
        SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE 'citus\_%'
    $$)
"""
"""Whether a worker has transactions of which it does not know yet how they ended, or does not answer."""
_ONE_CONNECTION: Final = "SET LOCAL citus.max_adaptive_executor_pool_size = 1"
"""Has a transaction ask each worker by one connection, and so in one snapshot of it."""
_ASK_ALL: Final = "SELECT account_id FROM call LIMIT 1"
"""Asks every worker for something."""


class _UnsettledError(Exception):
    """A commit is on its way from node to node."""


async def settle(connection: Connection) -> None:
    """Have the statements that follow in this transaction see all of a commit or nothing. Nobody stores calls until it
    ends. Where commits are atomic there is nothing to do.

    Raises CommitInDoubtError where one stays in doubt, because a node does not answer.
    """
    if engine_on(connection).commits_at_once:
        return
    for _ in range(_TRIES):
        if await _is_settled(connection):
            return
        await asyncio.sleep(_PAUSE_S)
    raise CommitInDoubtError


async def _is_settled(connection: Connection) -> bool:
    """Whether the locks are ours and no commit is in doubt; otherwise there are no locks, and calls are stored."""
    try:
        async with connection.transaction():
            await connection.execute(_BRIEFLY)
            await connection.execute(_NO_WRITERS)
            await connection.execute(_PATIENTLY)
            if await connection.fetchval(_IN_DOUBT):
                raise _UnsettledError
    except (asyncpg.LockNotAvailableError, _UnsettledError):
        return False
    return True


async def fetch_differences(owner: asyncpg.Pool, statement: str, *values: object) -> list[asyncpg.Record]:
    """The rows of a statement that compares calls with what the coordinator has of them, and returns what differs. What
    differs only because a commit came between two nodes is looked at again, in one snapshot of all of them.

    Raises CommitInDoubtError as `settle` does.
    """
    async with owner.acquire() as connection:
        found = await connection.fetch(statement, *values)
        if not found or engine_on(connection).commits_at_once:
            return found
    async with _one_snapshot(owner) as connection:
        return await connection.fetch(statement, *values)


@asynccontextmanager
async def _one_snapshot(owner: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection whose statements see one moment of all nodes. Nobody stores calls while it is taken, not longer."""
    async with owner.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        async with owner.acquire() as holder, holder.transaction():
            await settle(holder)
            await connection.execute(_ONE_CONNECTION)
            await connection.fetch(_ASK_ALL)
        yield connection
