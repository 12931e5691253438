"""MySQL and MariaDB, by PyMySQL (extra `mysql`), in a thread."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, unquote

from service.errors import OperatorError
from service.imports.sources.pages import SourceError

_Made = TypeVar("_Made")
_COLUMNS: Final = (
    "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = database() AND table_name = %s"
)
_READ_ONLY: Final = "SET SESSION TRANSACTION READ ONLY"
_TIMEOUT_S: Final = 120
_CONNECT_S: Final = 15
_PORT: Final = 3306


class MysqlReader:
    """A connection whose transactions only read."""

    quote = "`"

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - PyMySQL says no types, and may not be installed
        self._connection = connection

    async def columns(self, table: str) -> Collection[str]:
        """As TableReader's."""
        return {row["name"] for row in await self._fetch(_COLUMNS, table)}

    async def rows(self, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """As TableReader's."""
        return await self._fetch(statement, *values)

    async def _fetch(self, statement: str, *parameters: object) -> Sequence[dict[str, Any]]:
        def work() -> Sequence[dict[str, Any]]:
            """Run the statement, in the thread."""
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())

        return await _read(work)


@asynccontextmanager
async def mysql_reader(address: SplitResult, password: str | None) -> AsyncGenerator[MysqlReader, None]:
    """A connection to the database of this address. OperatorError where the driver is not installed."""
    try:
        import pymysql
        from pymysql.cursors import DictCursor
    except ImportError:
        raise OperatorError("`mysql://` needs the driver: `pip install 'calledger[mysql]'`") from None

    def connect() -> Any:  # noqa: ANN401
        """Connect, in the thread."""
        return pymysql.connect(
            host=address.hostname or "localhost",
            port=address.port or _PORT,
            user=unquote(address.username or ""),
            password=password or "",
            database=unquote(address.path.lstrip("/")),
            charset="utf8mb4",
            cursorclass=DictCursor,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            read_timeout=_TIMEOUT_S,
            write_timeout=_TIMEOUT_S,
            init_command=_READ_ONLY,
        )

    connection = await _read(connect)
    try:
        yield MysqlReader(connection)
    finally:
        await asyncio.to_thread(connection.close)


async def _read(work: Callable[[], _Made]) -> _Made:
    import pymysql

    try:
        return await asyncio.to_thread(work)
    except (OSError, pymysql.MySQLError) as error:
        raise SourceError(f"the database of the source does not answer ({type(error).__name__})") from None
