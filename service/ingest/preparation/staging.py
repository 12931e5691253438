"""A batch on its way into the database: a few rows come with the statement that stores them, many are copied before.

A copy pays for itself from some fifty rows on. Below, what surrounds it is most of the batch: another round trip, and a
temporary table whose files each commit cuts, and waits for, behind whatever else the disk has to do.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from service.ingest.preparation.prepared import Prepared
from service.storage.statements.write import CREATE_STAGED, STAGED_COLUMNS, STAGED_TABLE, STORE_GIVEN, STORE_STAGED

FEW_MAX: Final = 50

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

_JSON_TEXTS: Final = ("amount_parts", "tags", "units")


async def create_staging(connection: Connection) -> None:
    """Make what `insert_new` wants of a connection, once."""
    await connection.execute(CREATE_STAGED)


async def insert_new(connection: Connection, calls: Sequence[Prepared], *, as_parameter: bool) -> set[tuple[int, str]]:
    """Insert and commit what is not there yet, all or nothing. Returns the keys of the calls that were there.

    `as_parameter`: a few rows may be a parameter of the statement, for the server writes none into its log.
    Raises ValueError, TypeError or OverflowError for a value that the driver cannot encode, or PostgresError.
    """
    if as_parameter and len(calls) <= FEW_MAX:
        known = await connection.fetch(STORE_GIVEN, _as_json(calls))
    else:
        async with connection.transaction():
            records = [call.record for call in calls]
            await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
            known = await connection.fetch(STORE_STAGED)
    return {(row["account_id"], row["id"].hex) for row in known}


def _as_json(calls: Sequence[Prepared]) -> str:
    return orjson.dumps([_as_object(call.record) for call in calls]).decode()


def _as_object(record: tuple[Any, ...]) -> dict[str, Any]:
    """The record's columns that have a value, as `json_to_recordset` takes them."""
    row = {name: value for name, value in zip(STAGED_COLUMNS, record, strict=True) if value is not None}
    for name in _JSON_TEXTS:
        if name in row:
            row[name] = orjson.Fragment(row[name])
    if "sealed" in row:
        row["sealed"] = f"\\x{row['sealed'].hex()}"
    return row
