"""PostgreSQL, by asyncpg."""

from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from service.imports.sources.pages import SourceError

_COLUMNS: Final = """
    SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped
"""
_SETTINGS: Final = {"application_name": "calledger import", "default_transaction_read_only": "on"}
_TIMEOUT_S: Final = 120.0
_CONNECT_S: Final = 15.0
_PREFETCHED: Final = 20
"""Rows that are held before their size is known."""


class PostgresReader:
    """A connection whose transactions only read."""

    quote = '"'

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def columns(self, table: str) -> Collection[str]:
        """As TableReader's."""
        with _faults():
            return {row["attname"] for row in await self._connection.fetch(_COLUMNS, table)}

    async def rows(self, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """As TableReader's."""
        with _faults():
            return [dict(row) for row in await self._connection.fetch(statement, *values)]

    async def rows_within(self, bytes_max: int, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """As `rows`, but no more of them than have texts of so many characters, and at least one."""
        found: list[dict[str, Any]] = []
        size = 0
        with _faults():
            async with self._connection.transaction():
                async for row in self._connection.cursor(statement, *values, prefetch=_PREFETCHED):
                    found.append(dict(row))
                    size += sum(len(value) for value in row.values() if isinstance(value, str))
                    if size >= bytes_max:
                        break
        return found


@asynccontextmanager
async def postgres_reader(url: str, password: str | None) -> AsyncGenerator[PostgresReader, None]:
    """A connection to the database of this address."""
    with _faults():
        connection = await asyncpg.connect(
            url, password=password, server_settings=_SETTINGS, command_timeout=_TIMEOUT_S, timeout=_CONNECT_S
        )
    try:
        yield PostgresReader(connection)
    finally:
        connection.terminate()


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise SourceError(f"the database of the source does not answer ({type(error).__name__})") from None
