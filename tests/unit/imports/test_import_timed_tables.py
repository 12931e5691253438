"""A table that is read in the order of its times, whatever stands in it: no row is missed, and reading ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from service.imports.sources.databases.table import SourceTable
from service.imports.sources.databases.timed_table import TimedTableSource
from service.imports.sources.late_rows import TimeCursor
from service.imports.sources.pages import SourceError

TABLE: Final = SourceTable("logs", "id", "began", ("began",), by_time=True)
NOW: Final = datetime.now(UTC).replace(tzinfo=None, microsecond=0)


class Rows:
    """A database with these rows; `stuck`: it gives the same ones again and again."""

    def __init__(self, rows: Sequence[dict[str, Any]], *, stuck: bool = False) -> None:
        self.rows = sorted(rows, key=lambda row: (row["began"], row["id"]))
        self.stuck = stuck
        self.asked = 0

    async def columns(self, table: str) -> Collection[str]:
        return ("id", "began") if table == TABLE.name else ()

    async def rows_within(self, bytes_max: int, statement: str, *values: Any) -> Sequence[dict[str, Any]]:
        assert bytes_max and statement
        self.asked += 1
        assert self.asked < 100, "it reads for ever"
        moment, key, most = values
        found = [row for row in self.rows if self.stuck or (row["began"], row["id"]) > (moment, key)]
        return found[: min(most, 3)]


def read(database: Rows, after: str | None = None) -> tuple[list[str], str | None]:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Rows]:
        yield database

    async def all_rows() -> tuple[list[str], str | None]:
        found, cursor = list[str](), after
        async with aclosing(TimedTableSource(TABLE, connect, "here").pages(after)) as pages:
            async for page in pages:
                found += [json.loads(bytes(row))["id"] for row in page.rows]
                cursor = page.cursor
        return found, cursor

    return asyncio.run(all_rows())


def row(number: int, **ago: float) -> dict[str, Any]:
    return {"id": f"r{number:03d}", "began": NOW - timedelta(**ago)}


@pytest.mark.parametrize("years", [-1, -80])
def test_a_row_of_the_future_hides_no_later_ones(years: int) -> None:
    """A gateway whose clock was wrong once: the cursor stays behind now, and what comes in afterwards is read."""
    database = Rows([*(row(one, minutes=60 - one) for one in range(10)), row(10, days=years * 365)])
    found, cursor = read(database)
    assert found == [f"r{one:03d}" for one in range(11)]
    assert cursor is not None
    assert TimeCursor.of(cursor).reached <= (datetime.now(UTC).timestamp() + 1) * 1000

    database.rows.insert(-1, row(20, seconds=-2))
    again = str(TimeCursor.of(cursor).again())
    assert "r020" in read(database, again)[0]


def test_a_database_that_gives_the_same_rows_again_is_named() -> None:
    """It is an error, and no loop."""
    with pytest.raises(SourceError, match="`began` that is no time"):
        read(Rows([row(1, hours=1)], stuck=True))
