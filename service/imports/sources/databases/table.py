"""A table of another program: which of its columns are read, and in which order."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import orjson

from service.imports.sources.pages import RowPage, SourceError
from service.logs import get_logger

log = get_logger()

_PAGE_ROWS: Final = 1_000
_DISORDER_S: Final = 3_600
_OVERLAP_ROWS: Final = 200
"""Keys are given before they are committed: so many rows are read again by whoever comes back for more."""
_KEY_MAX: Final = 2**63 - 1
TEXT_CHARACTERS_MAX: Final = 2**16
"""What is read of a long text; an error's is cut to less."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table, the column of its key, the one that says when, and the names of columns that are wanted: those that
    every version has, others, those of them that may be long, and those that are only wanted of calls that failed.
    """

    name: str
    key: str
    moment: str
    needed: tuple[str, ...]
    others: tuple[str, ...] = ()
    long: frozenset[str] = frozenset()
    of_failed: tuple[str, ...] = ()
    failed: tuple[str, str] = ("", "")
    """The column that tells a call that failed, and what stands in it then."""
    by_time: bool = False
    """The key is no number that grows: rows are read in the order of their times."""

    def chosen(self, columns: Collection[str]) -> list[str]:
        """Those of a table's columns that are read. Raises SourceError where one is missing that is needed."""
        missing = [name for name in (self.key, self.moment, *self.needed) if name not in columns]
        if missing:
            names = ", ".join(f"`{name}`" for name in dict.fromkeys(missing))
            what = f"the table `{self.name}` has no {names}" if columns else f"there is no table `{self.name}`"
            raise SourceError(f"{what}: is this the right database, and the right format?")
        absent = [name for name in (*self.others, *self.of_failed) if name not in columns]
        if absent:
            log.info("columns are missing, and what they would say", table=self.name, columns=absent)
        return list(dict.fromkeys([self.key, *self.needed, *(one for one in self.others if one in columns)]))


class TableReader(Protocol):
    """A connection that only reads. Its errors are SourceErrors."""

    quote: str

    async def columns(self, table: str) -> Collection[str]:
        """The names of the table's columns; none where there is no such table."""
        ...

    async def rows(self, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """The rows of a statement with these parameters."""
        ...


class TableSource:
    """The rows of a table in the order of its key, a number. `connect` opens a connection; `parameters` are how its
    driver writes the first and the second one; `where` names the database without a secret; rows before `since` are
    left out, but for some of the hour before.
    """

    def __init__(
        self,
        table: SourceTable,
        connect: Callable[[], AbstractAsyncContextManager[TableReader]],
        parameters: tuple[str, str],
        where: str,
        since: datetime | None = None,
    ) -> None:
        self._table = table
        self._connect = connect
        self._parameters = parameters
        self._where = where
        self._since = since

    @property
    def identity(self) -> str:
        """Where the database is, and its table."""
        return f"{self._where} {self._table.name}"

    def again_from(self, cursor: str) -> str:
        """A cursor before `cursor`, from which what was committed late is found, too."""
        return str(max(0, int(cursor) - _OVERLAP_ROWS))

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """Pages of rows whose key is larger than `after`."""
        async with self._connect() as reader:
            statement = self._statement(reader.quote, await reader.columns(self._table.name))
            reached = int(after) if after is not None else await self._before_first(reader)
            whole = True
            while whole and (rows := await reader.rows(statement, reached, _PAGE_ROWS)):
                whole = len(rows) == _PAGE_ROWS  # else what comes in meanwhile would be read for ever
                before, reached = reached, rows[-1][self._table.key]
                if not isinstance(reached, int) or reached <= before:
                    raise SourceError(f"the table `{self._table.name}` has a `{self._table.key}` that is no number")
                yield RowPage([row_of(row) for row in rows], str(reached))

    async def _before_first(self, reader: TableReader) -> int:
        """The key behind which the first rows are that are wanted. Keys are as old as their rows, an hour more or less,
        and what says when need not be indexed: it is looked for by halves.
        """
        if self._since is None:
            return -1
        name, key, moment = (
            f"{reader.quote}{one}{reader.quote}" for one in (self._table.name, self._table.key, self._table.moment)
        )
        first, second = self._parameters
        statement = f"SELECT {moment} AS moment FROM {name} WHERE {key} > {first} ORDER BY {key} LIMIT {second}"  # noqa: S608 - names of our own
        wanted = int(self._since.timestamp()) - _DISORDER_S

        async def is_before(reached: int) -> bool:
            """Whether the first row behind this key is too old."""
            rows = await reader.rows(statement, reached, 1)
            return bool(rows) and isinstance(rows[0]["moment"], int) and rows[0]["moment"] < wanted

        low, high = -1, 0
        while await is_before(high):
            low, high = high, min(high * 2 + 1, _KEY_MAX)
            if low == high:
                return low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await is_before(middle) else (low, middle)
        return high if await is_before(low) else low

    def _statement(self, quote: str, columns: Collection[str]) -> str:
        """The statement of a page. It is made of names of ours alone: of the table's, only whether they are there."""
        table = self._table
        chosen = table.chosen(columns)
        names = ", ".join(self._chosen(name, quote) for name in chosen)
        key, (first, second) = f"{quote}{table.key}{quote}", self._parameters
        return (
            f"SELECT {names} FROM {quote}{table.name}{quote} "  # noqa: S608 - names of our own
            f"WHERE {key} > {first} ORDER BY {key} LIMIT {second}"
        )

    def _chosen(self, name: str, quote: str) -> str:
        quoted = f"{quote}{name}{quote}"
        return f"substr({quoted}, 1, {TEXT_CHARACTERS_MAX}) AS {quoted}" if name in self._table.long else quoted


def row_of(row: dict[str, Any]) -> bytes:
    """A row of a table as JSON text."""
    return orjson.dumps(row, default=_text)


def _text(value: object) -> object:
    """A value that is none of JSON's as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
