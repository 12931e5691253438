"""Rows of files that come back into `call`: all of a file's, or those that somebody reports again.

A row that came back is a stored row like any other, and hides the one in the file. It is counted in the sums and in the
change feed since it was first stored: nothing is added there.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from service.storage.cold.catalogue import LOCK, ColdFile, cold_files, overlapping
from service.storage.cold.columns import column_types
from service.storage.cold.errors import ColdFileError
from service.storage.cold.tier import ColdTier, Wanted
from service.storage.connection import Connection

_ROWS: Final = 2_000
_TICK: Final = timedelta(microseconds=1)
_SHARE: Final = "SELECT pg_advisory_lock_shared($1)"
"""Keep rows from moving to files, until it is unlocked or the connection ends."""
_OF_CALLS: Final = "WHERE cold.id = ANY ($1::uuid[]) OR cold.correction_of = ANY ($1::uuid[])"
# A call's corrections come with it: they are added up when another one is judged.

_GIVEN: Final = "CREATE TEMPORARY TABLE IF NOT EXISTS cold_given (given json) ON COMMIT DELETE ROWS"
_EMPTY: Final = "DELETE FROM cold_given"
"""Forget the rows that were inserted before."""
_LET_GO: Final = "SELECT pg_advisory_unlock_shared($1)"


class ColdKey(NamedTuple):
    """Where a call lies; `id` is its UUID in hexadecimal digits."""

    account_id: int
    tier: int
    started_at: datetime
    id: str


def _insertion(table: str, columns: Collection[str], where: str) -> str:
    """The statement that inserts the rows of `cold_given`, unless they are there."""
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names of the catalogue
        f"FROM cold_given, json_populate_recordset(NULL::call, given) AS cold {where} ON CONFLICT DO NOTHING"
    )


async def bring_back(connection: Connection, cold: ColdTier, file: ColdFile, table: str) -> None:
    """Insert all rows of a file into a partition, whose quoted name is `table`, unless they are there.

    In the transaction of `connection`, which forgets the file.
    """
    statement = _insertion(table, await column_types(connection), "")
    async for rows in cold.batches(file, _ROWS):
        await _insert(connection, statement, rows)


async def _insert(connection: Connection, statement: str, rows: str, *values: object) -> None:
    """Insert rows that are given as a JSON array. They are copied, for no log gets what is copied."""
    async with connection.transaction():
        await connection.execute(_GIVEN)
        await connection.execute(_EMPTY)
        await connection.copy_records_to_table("cold_given", records=[(rows,)], columns=["given"])
        await connection.execute(statement, *values)


@asynccontextmanager
async def kept_in_place(
    connection: Connection, cold: ColdTier | None, keys: Collection[ColdKey]
) -> AsyncIterator[None]:
    """During the block, those of these calls that are in files are in `call`, and no rows move into files.

    Outside of a transaction. Raises ColdFileError for a file that cannot be read: nothing may be stored then, since a
    call that is in it would be stored twice.
    """
    await connection.execute(_SHARE, LOCK)
    try:
        await _bring_back_some(connection, cold, keys)
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(_LET_GO, LOCK)


async def _bring_back_some(connection: Connection, cold: ColdTier | None, keys: Collection[ColdKey]) -> None:
    files = [file for file in await cold_files(connection) if file.frozen]
    for file in files:
        wanted = [key for key in keys if overlapping([file], key.tier, key.started_at, key.started_at + _TICK)]
        if not wanted:
            continue
        if cold is None:
            raise ColdFileError
        accounts, moments = {key.account_id for key in wanted}, {key.started_at for key in wanted}
        within = Wanted(file, tuple(sorted(accounts)), min(moments), max(moments) + _TICK)
        found = await cold.find([within], moments=moments)
        for first in range(0, len(found.keys), _ROWS):
            types = await column_types(connection)
            given = await cold.give(found, first, min(first + _ROWS, len(found.keys)), types)
            statement = _insertion("call", types, _OF_CALLS)
            await _insert(connection, statement, given.rows, [key.id for key in wanted])
