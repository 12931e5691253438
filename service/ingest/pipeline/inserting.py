"""Inserts a batch of prepared calls: by one statement, or on Citus by one on each worker that has their accounts.

A few rows come with the statement that stores them, many are copied before. A copy pays for itself from some fifty rows
on. Below, what surrounds it is most of the batch: another round trip, and a temporary table whose files each commit
cuts, and waits for, behind whatever else the disk has to do.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import orjson

from service.ingest.preparation.preparation import Prepared
from service.storage.citus.workers import WorkerAddress, Workers
from service.storage.connection import Connection
from service.storage.statements.tag_deltas import TAGS_LOCK
from service.storage.statements.write import (
    CREATE_STAGED,
    DURABLE_COMMITS,
    KEEP_TAGS,
    STAGED_COLUMNS,
    STAGED_TABLE,
    STORE_GIVEN,
    STORE_ON_WORKER,
    STORE_STAGED,
    SUMMED_TAGS,
)

Keys = set[tuple[int, str]]
"""Accounts and ids of calls."""

FEW_MAX: Final = 50
"""Rows up to which a batch comes with its statement."""
_JSON_TEXTS: Final = ("amount_parts", "tags", "units")
_ROW_FAULTS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    TypeError,
    ValueError,
)


async def prepare(connection: Connection) -> None:
    """Make a connection fit for `insert_new` and `insert_on_workers`, once."""
    await connection.execute(DURABLE_COMMITS)
    await create_staging(connection)


async def create_staging(connection: Connection) -> None:
    """Make what `insert_new` wants of a connection, once."""
    await connection.execute(CREATE_STAGED)


async def insert_new(connection: Connection, calls: Sequence[Prepared], *, as_parameter: bool) -> Keys:
    """Insert and commit what is not there yet, all or nothing. Returns the keys of the calls that were there.

    `as_parameter`: a few rows may be a parameter of the statement, for the server writes none into its log.
    Raises ValueError, TypeError or OverflowError for a value that the driver cannot encode, or PostgresError.
    """
    if as_parameter and len(calls) <= FEW_MAX:
        return _keys(await connection.fetch(STORE_GIVEN, _as_json(calls)))
    return await _insert_staged(connection, calls, STORE_STAGED)


async def insert_on_workers(
    coordinator: Connection, workers: Workers, calls: Sequence[Prepared], fresh: Keys, *, as_parameter: bool
) -> Keys:
    """The same on each worker by itself, all or nothing there, and on the coordinator where a worker cannot be written
    to.

    What is new is noted in `fresh`, also where an error is raised: the next try will find it there.
    """
    nodes = await workers.nodes_of(coordinator, {call.account_id for call in calls})
    parts: dict[WorkerAddress | None, list[Prepared]] = {}
    for call in calls:
        parts.setdefault(nodes[call.account_id], []).append(call)
    here = parts.pop(None, [])
    known, faults = Keys(), list[BaseException]()
    # Who changes the tags that are summed waits for those who have read them, and they for nobody.
    async with coordinator.transaction():
        await coordinator.execute(KEEP_TAGS, TAGS_LOCK)
        tags: list[str] = await coordinator.fetchval(SUMMED_TAGS) or []
        of_parts = await asyncio.gather(
            *(_insert_on(workers, node, part, tags) for node, part in parts.items() if node is not None),
            return_exceptions=True,
        )
    for part, result in zip(parts.values(), of_parts, strict=True):
        if isinstance(result, BaseException):
            faults.append(result)
        elif result is None:
            here += part
        else:
            known |= result
            fresh.update(call.key for call in part if call.key not in result)
    if faults:
        raise faults[0]
    if here:
        known |= await insert_new(coordinator, here, as_parameter=as_parameter)
    return known


async def _insert_on(workers: Workers, node: WorkerAddress, calls: Sequence[Prepared], tags: list[str]) -> Keys | None:
    """The keys of what was there before; None where this worker cannot be written to."""
    try:
        return await _insert_staged(await workers.connection(node), calls, STORE_ON_WORKER, tags)
    except _ROW_FAULTS:
        raise
    except BaseException as error:
        workers.leave_alone(node, error)
        if isinstance(error, Exception):
            return None
        raise  # the worker stands still, and the batch was cancelled


async def _insert_staged(
    connection: Connection, calls: Sequence[Prepared], statement: str, *parameters: object
) -> Keys:
    async with connection.transaction():
        records = [call.record for call in calls]
        await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
        return _keys(await connection.fetch(statement, *parameters))


def _keys(rows: Sequence[asyncpg.Record]) -> Keys:
    return {(row["account_id"], row["id"].hex) for row in rows}


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
