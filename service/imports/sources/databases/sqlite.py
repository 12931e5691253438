"""SQLite's files, by the library that comes with Python, in a thread."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from service.imports.sources.pages import SourceError

_Made = TypeVar("_Made")
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"
_BUSY_S: Final = 30.0


class SqliteReader:
    """A file, opened so that nothing is ever written to it."""

    quote = '"'

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def columns(self, table: str) -> Collection[str]:
        """As TableReader's."""
        rows = await _read(lambda: self._connection.execute(_COLUMNS, (table,)).fetchall())
        return {row["name"] for row in rows}

    async def rows(self, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """As TableReader's."""
        return [dict(row) for row in await _read(lambda: self._connection.execute(statement, values).fetchall())]


@asynccontextmanager
async def sqlite_reader(path: Path) -> AsyncGenerator[SqliteReader, None]:
    """A connection to the file. SourceError where there is none."""
    address = f"file:{quote(str(path))}?mode=ro"
    connection = await _read(lambda: sqlite3.connect(address, timeout=_BUSY_S, uri=True, check_same_thread=False))
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    try:
        yield SqliteReader(connection)
    finally:
        connection.interrupt()
        await asyncio.to_thread(connection.close)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


async def _read(work: Callable[[], _Made]) -> _Made:
    try:
        return await asyncio.to_thread(work)
    except sqlite3.Error as error:
        raise SourceError(f"the SQLite file cannot be read: {error}") from None
