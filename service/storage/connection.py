"""The type of a connection to PostgreSQL, opened alone or acquired from a pool, and helpers for its results."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

_Record = TypeVar("_Record")
_CLOSE_TIMEOUT_S: Final = 2.0

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""A connection of our own or of a pool, which gives out a proxy that is no subclass."""

Queryable: TypeAlias = asyncpg.Pool | Connection
"""Anything that can run a statement."""


class ScopedConnection(asyncpg.Connection):
    """A connection that remembers which accounts' rows it may see."""

    __slots__ = ("_accounts",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to asyncpg
        super().__init__(*args, **kwargs)
        self._accounts: tuple[int, ...] | None = None

    async def see_only(self, accounts: tuple[int, ...]) -> None:
        """Set row-level security to `accounts`; a round trip only when they differ from the last ones."""
        if accounts != self._accounts:
            self._accounts = None
            await self.execute(
                "SELECT set_config('calledger.accounts', $1, false)", f"{{{','.join(map(str, accounts))}}}"
            )
            self._accounts = accounts


async def one_row(source: Queryable, statement: str, *arguments: object) -> asyncpg.Record:
    """The row of a statement that always returns one: an aggregate without groups, or a row inserted just before."""
    row = await source.fetchrow(statement, *arguments)
    assert row is not None, "the statement always gives a row"
    return row


def record_of(kind: type[_Record], row: Mapping[str, Any] | asyncpg.Record, /, **changed: object) -> _Record:
    """A record of the dataclass `kind`: for each field the column of its name, unless `changed` has a value for it."""
    columns = {field.name: row[field.name] for field in fields(kind) if field.name not in changed}  # pyright: ignore[reportArgumentType] - a dataclass
    return kind(**columns, **changed)


def affected(status: str) -> int:
    """How many rows a statement changed, by the status that `execute` returns, such as `DELETE 3`."""
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def advisory_lock(owner: asyncpg.Pool, key: int) -> AsyncIterator[Connection]:
    """A connection that has the advisory lock `key` until the block ends. It waits for the lock."""
    async with owner.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", key)
        try:
            yield connection
        finally:
            await _unlock(connection, key)


@asynccontextmanager
async def advisory_lock_if_free(owner: asyncpg.Pool, key: int) -> AsyncIterator[Connection | None]:
    """The same without waiting: None where another connection has the lock."""
    async with owner.acquire() as connection:
        taken = await connection.fetchval("SELECT pg_try_advisory_lock($1)", key)
        try:
            yield connection if taken else None
        finally:
            if taken:
                await _unlock(connection, key)


@asynccontextmanager
async def advisory_lock_of_long_work(url: str, key: int) -> AsyncIterator[bool]:
    """Whether the advisory lock `key` was free, and is ours until the block ends: on a connection of its own, since who
    keeps one of a small pool and asks it for more may wait for others that do the same.
    """
    connection = await asyncpg.connect(url)
    try:
        yield await connection.fetchval("SELECT pg_try_advisory_lock($1)", key)
    finally:
        with suppress(OSError, TimeoutError, asyncpg.InterfaceError):
            await connection.close(timeout=_CLOSE_TIMEOUT_S)


async def _unlock(connection: Connection, key: int) -> None:
    """Release the lock, unless its connection is closed, and the lock with it."""
    if not connection.is_closed():
        await connection.execute("SELECT pg_advisory_unlock($1)", key)
