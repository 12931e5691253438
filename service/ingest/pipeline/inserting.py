"""Inserts a batch of prepared calls that are copied before: by one statement, or on Citus by one on each worker that
has their accounts.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

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
    STORE_ON_WORKER,
    STORE_STAGED,
    SUMMED_TAGS,
)

Keys = set[tuple[int, str]]
"""Accounts and ids of calls."""

_ROW_FAULTS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    TypeError,
    ValueError,
)


async def prepare(connection: Connection) -> None:
    """Make a connection fit for `insert_copied` and `insert_on_workers`, once."""
    await connection.execute(DURABLE_COMMITS)
    await create_staging(connection)


async def create_staging(connection: Connection) -> None:
    """Make what `insert_copied` wants of a connection, once."""
    await connection.execute(CREATE_STAGED)


async def insert_copied(connection: Connection, calls: Sequence[Prepared]) -> Keys:
    """Insert and commit what is not there yet, all or nothing. Returns the keys of the calls that were there.

    Raises ValueError, TypeError or OverflowError for a value that the driver cannot encode, or PostgresError.
    """
    return await _insert_staged(connection, calls, STORE_STAGED)


async def insert_on_workers(coordinator: Connection, workers: Workers, calls: Sequence[Prepared], fresh: Keys) -> Keys:
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
        known |= await insert_copied(coordinator, here)
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
        return {(row["account_id"], row["id"].hex) for row in await connection.fetch(statement, *parameters)}
