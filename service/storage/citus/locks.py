"""Rows that are locked: by one statement, or by one an account where an engine locks rows of one account only."""

from collections.abc import Iterable
from typing import LiteralString, NamedTuple

import asyncpg

from service.storage.citus.engine import engine_on
from service.storage.connection import Connection


class Lock(NamedTuple):
    """A statement that locks calls, and the same for those of the account that is its last parameter."""

    together: str
    of_account: str


def lock_of(select: LiteralString, order: LiteralString, *, parameters: int) -> Lock:
    """The statements that lock the calls of `select`, which ends in a condition and has so many parameters."""
    locking = f"{order}\nFOR UPDATE OF call\n"
    return Lock(f"{select}{locking}", f"{select}    AND call.account_id = ${parameters + 1}\n{locking}")


async def fetch_locked(
    connection: Connection, lock: Lock, accounts: Iterable[int], *values: object
) -> list[asyncpg.Record]:
    """The rows that `lock` locks, of these accounts; in the same order either way, so that no two writers deadlock."""
    if engine_on(connection).picks_from_many_accounts:
        return await connection.fetch(lock.together, *values)
    return [
        row for account in sorted(set(accounts)) for row in await connection.fetch(lock.of_account, *values, account)
    ]
