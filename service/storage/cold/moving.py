"""Rows of files that come back into `call`: all of a file's, or those that somebody reports again.

A row that came back is a stored row like any other, and hides the one in the file. It is counted in the sums and in the
change feed since it was first stored: nothing is added there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.storage.cold.catalogue import LOCK, ColdFile, cold_files, overlapping
from service.storage.cold.columns import CallsAt, column_types
from service.storage.cold.errors import ColdFileError
from service.storage.cold.tier import ColdRead, ColdTier
from service.storage.connection import Connection

_ROWS: Final = 2_000
_TICK: Final = timedelta(microseconds=1)
_SHARE: Final = "SELECT pg_try_advisory_lock_shared($1)"
"""Keep rows from moving to files, until it is unlocked or the connection ends; whether nobody moves any."""
_SHARE_S: Final = 1.0
_POLL_S: Final = 0.05
_LET_GO_S: Final = 2.0
_BRING_BACK_S: Final = 5.0
"""How long rows may take to come back for a batch: other calls of it, and other batches, wait for them."""
_MOVED: Final = "calls of this time are being moved: try again in some minutes"
_SLOW: Final = "calls of this time are in files that take too long to be read now: try again in some minutes"
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
async def brought_back(connection: Connection, cold: ColdTier | None, keys: Collection[ColdKey]) -> AsyncIterator[None]:
    """During the block, those of these calls that are in files are in `call`, and no rows move into files.

    Outside of a transaction. Raises ColdFileError for a file that cannot be read in a few seconds, and while rows move:
    none of these calls may be stored then, since one that is in a file would be stored twice.
    """
    await _share(connection)
    try:
        try:
            async with asyncio.timeout(_BRING_BACK_S):
                await _bring_back_some(connection, cold, keys)
        except TimeoutError as error:
            raise ColdFileError(_SLOW) from error
        yield
    finally:
        await _let_go(connection)


async def _share(connection: Connection) -> None:
    """Take `LOCK` together with others. Whoever moves a partition has it alone for as long as that takes, so that this
    waits for a moment only.
    """
    until = time.monotonic() + _SHARE_S
    while not await connection.fetchval(_SHARE, LOCK):
        if time.monotonic() > until:
            raise ColdFileError(_MOVED)
        await asyncio.sleep(_POLL_S)


async def _let_go(connection: Connection) -> None:
    """Give `LOCK` back; where that takes long, by ending the connection."""
    try:
        async with asyncio.timeout(_LET_GO_S):
            await connection.execute(_LET_GO, LOCK)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        with suppress(asyncpg.InterfaceError):  # it has ended by itself, and gone back to its pool
            connection.terminate()


async def _bring_back_some(connection: Connection, cold: ColdTier | None, keys: Collection[ColdKey]) -> None:
    files = [file for file in await cold_files(connection) if file.frozen]
    for file in files:
        wanted = [key for key in keys if overlapping([file], key.tier, key.started_at, key.started_at + _TICK)]
        if not wanted:
            continue
        if cold is None:
            raise ColdFileError
        found = await cold.find(_by_account(file, wanted))
        for first in range(0, len(found.keys), _ROWS):
            types = await column_types(connection)
            given = await cold.give(found, first, min(first + _ROWS, len(found.keys)), types)
            statement = _insertion("call", types, _OF_CALLS)
            await _insert(connection, statement, given.rows, [key.id for key in wanted])


def _by_account(file: ColdFile, keys: Collection[ColdKey]) -> list[ColdRead]:
    """What is read of a file: of each account its own calls."""
    of_accounts: dict[int, list[ColdKey]] = {}
    for key in keys:
        of_accounts.setdefault(key.account_id, []).append(key)
    return [
        ColdRead(
            file,
            (account,),
            min(key.started_at for key in of_account),
            max(key.started_at for key in of_account) + _TICK,
            CallsAt({key.started_at for key in of_account}, {key.id for key in of_account}),
        )
        for account, of_account in of_accounts.items()
    ]
