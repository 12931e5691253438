"""A table of another program whose key is no number that grows: read in the order of its times, and of its key among
rows of one time.

PostgreSQL's alone: times are columns without a time zone, which are UTC's.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from service.imports.sources.databases.table import SourceTable, row_of
from service.imports.sources.late_rows import TimeCursor
from service.imports.sources.pages import PAGE_BYTES, RowPage, SourceError

_PAGE_ROWS: Final = 1_000
_LONG_BYTES_MAX: Final = 2**22
"""A longer value of a column that may be long is not read: a text that says so stands in its place."""
_FAILED_CHARACTERS_MAX: Final = 2**18
"""What is read of each column of a call that failed. What repeats it in the error's text is mostly its beginning."""
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - as the columns are
_MILLISECOND: Final = timedelta(milliseconds=1)


class TimedReader(Protocol):
    """A connection that only reads. Its errors are SourceErrors."""

    async def columns(self, table: str) -> Collection[str]:
        """The names of the table's columns; none where there is no such table."""
        ...

    async def rows_within(self, bytes_max: int, statement: str, *values: object) -> Sequence[dict[str, Any]]:
        """The first rows of a statement with these parameters, until their texts are of some length."""
        ...


class TimedTableSource:
    """The rows of a table in the order of their times. `connect` opens a connection; `where` names the database without
    a secret; rows before `since` are left out.
    """

    def __init__(
        self,
        table: SourceTable,
        connect: Callable[[], AbstractAsyncContextManager[TimedReader]],
        where: str,
        since: datetime | None = None,
    ) -> None:
        self._table = table
        self._connect = connect
        self._where = where
        self._since = since

    @property
    def identity(self) -> str:
        """Where the database is, and its table."""
        return f"{self._where} {self._table.name}"

    def again_from(self, cursor: str) -> str:
        """A cursor before `cursor`, from which rows of calls that took long are found, too."""
        return str(TimeCursor.of(cursor).again())

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """Pages of rows of the time `after` and later: those of that very time may have been read before.

        No cursor is later than now: behind a row of the future, of a clock that was wrong, all others would be missed.
        """
        cursor = TimeCursor(0 if self._since is None else int(self._since.timestamp() * 1000))
        cursor = cursor if after is None else TimeCursor.of(after)
        moment, key, until = _EPOCH + cursor.reached * _MILLISECOND, "", datetime.now(UTC).replace(tzinfo=None)
        async with self._connect() as reader:
            statement = self._statement(await reader.columns(self._table.name))
            # What comes in meanwhile would be read for ever.
            while moment < until and (rows := await reader.rows_within(PAGE_BYTES, statement, moment, key, _PAGE_ROWS)):
                before, (moment, key) = (moment, key), (rows[-1][self._table.moment], rows[-1][self._table.key])
                if not isinstance(moment, datetime) or moment < before[0] or (moment, key) == before:
                    raise SourceError(f"the table `{self._table.name}` has a `{self._table.moment}` that is no time")
                cursor = cursor.at((min(moment, until) - _EPOCH) // _MILLISECOND)
                yield RowPage([row_of(row) for row in rows], str(cursor))

    def _statement(self, columns: Collection[str]) -> str:
        """The statement of a page, made of names of ours alone."""
        table = self._table
        names = [self._chosen(name) for name in table.chosen(columns)]
        column, value = table.failed
        names += [
            f"""CASE WHEN "{column}" = '{value}' THEN left("{name}"::text, {_FAILED_CHARACTERS_MAX}) END AS "{name}" """
            for name in table.of_failed
            if name in columns and column in columns
        ]
        order = f'"{table.moment}", "{table.key}"'
        return (
            f'SELECT {", ".join(names)} FROM "{table.name}" '  # noqa: S608 - names of our own
            f"WHERE ({order}) > ($1, $2) ORDER BY {order} LIMIT $3"
        )

    def _chosen(self, name: str) -> str:
        if name not in self._table.long:
            return f'"{name}"'
        text = f'"{name}"::text'
        return f"""CASE WHEN octet_length({text}) <= {_LONG_BYTES_MAX} THEN {text} ELSE 'too long' END AS "{name}" """
