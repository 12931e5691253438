"""Exports that are asked for again each day or month. `service.export.schedules` asks for them when they are due."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from service.errors import RequestError
from service.storage.connection import Connection, Queryable
from service.storage.control.exports import BEFORE_NEWEST, Requester, StoredExportKind
from service.storage.database import Database, uuid_of

SCHEDULES_MAX: Final = 20
"""How many schedules one key may have."""
_COLUMNS: Final = """
    id, kind, every, time_zone, requested_by, role, accounts, request, requested_at, period_start,
    nullif(due_at, 'infinity') AS due_at, failure
"""
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('calledger/export schedules', 0))"
_OF_KEY: Final = "SELECT count(*) FROM export_schedule WHERE requested_by = $1"
_ADD: Final = f"""
    INSERT INTO export_schedule (id, kind, every, time_zone, requested_by, role, accounts, request, requested_at,
        period_start, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), $9, $10) RETURNING {_COLUMNS}
"""  # noqa: S608 - names of our own
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM export_schedule
    WHERE ($1::text IS NULL OR requested_by = $1) AND (requested_at, id) < ($2, $3)
    ORDER BY requested_at DESC, id DESC LIMIT $4
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM export_schedule WHERE $1::text IS NULL OR requested_by = $1"
_ONE: Final = f"SELECT {_COLUMNS} FROM export_schedule WHERE id = $1"  # noqa: S608
# Several processes look for what is due: each schedule is taken by one of them, for as long as its transaction lasts.
_DUE: Final = f"""
    SELECT {_COLUMNS} FROM export_schedule WHERE due_at <= clock_timestamp() AND id <> ALL ($1::uuid[])
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""  # noqa: S608
_ADVANCE: Final = "UPDATE export_schedule SET period_start = $2, due_at = $3, failure = $4 WHERE id = $1"
_END: Final = "UPDATE export_schedule SET due_at = 'infinity', failure = $2, request = '{}' WHERE id = $1"
_DELETE: Final = "DELETE FROM export_schedule WHERE id = $1"


class TooManySchedulesError(RequestError):
    """the key has as many schedules as it may have: delete one first"""


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """One schedule. `every`: DAY or MONTH of `time_zone`; `period_start`: of the next period that is to be exported;
    `due_at`: when that happens, None when it never does: `failure` says why.
    """

    id: UUID
    kind: StoredExportKind
    every: str
    time_zone: str
    requested_by: str
    role: str
    accounts: tuple[int, ...] | None
    request: Mapping[str, Any]
    requested_at: datetime
    period_start: datetime
    due_at: datetime | None
    failure: str | None


async def add_schedule(
    database: Database,
    id_: UUID,
    kind: StoredExportKind,
    requester: Requester,
    period: tuple[str, str],
    request: Mapping[str, Any],
    first: tuple[datetime, datetime],
) -> ScheduleRecord:
    """Add a schedule. `period`: DAY or MONTH and the time zone; `first`: where the
    first period begins, and when it is due.

    Raises TooManySchedulesError.
    """
    accounts = None if requester.accounts is None else orjson.dumps(list(requester.accounts)).decode()
    values = (requester.key_id, requester.role, accounts, orjson.dumps(request).decode())
    async with database.owner.acquire() as connection, connection.transaction():
        await connection.execute(_ONE_AT_A_TIME)
        if await connection.fetchval(_OF_KEY, requester.key_id) >= SCHEDULES_MAX:
            raise TooManySchedulesError
        row = await connection.fetchrow(_ADD, id_, kind, *period, *values, *first)
    assert row is not None
    return _schedule(row)


async def page_schedules(
    source: Queryable, size: int, *, requested_by: str | None, behind: tuple[datetime, UUID] | None
) -> list[ScheduleRecord]:
    """Schedules that `source` may see, newest first: those of one key (None: of every key), behind a moment and id."""
    return [_schedule(row) for row in await source.fetch(_PAGE, requested_by, *(behind or BEFORE_NEWEST), size)]


async def count_schedules(source: Queryable, requested_by: str | None) -> int:
    """How many schedules `page_schedules` has in all."""
    return await source.fetchval(_COUNT, requested_by)


async def get_schedule(source: Queryable, id_: UUID) -> ScheduleRecord | None:
    """One schedule, if `source` may see it."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _schedule(row)


async def due_schedule(connection: Connection, but: set[UUID]) -> ScheduleRecord | None:
    """The schedule that has been due for longest, for the transaction of `connection` alone; none of `but`."""
    row = await connection.fetchrow(_DUE, list(but))
    return None if row is None else _schedule(row)


async def advance_schedule(
    connection: Connection, id_: UUID, period_start: datetime, due_at: datetime, failure: str | None
) -> None:
    """Go on to the period from `period_start`, which is due at `due_at`. `failure`: what became of the one before."""
    await connection.execute(_ADVANCE, id_, period_start, due_at, failure)


async def end_schedule(connection: Connection, id_: UUID, failure: str) -> None:
    """Let a schedule never be due again; it is kept for who asks why."""
    await connection.execute(_END, id_, failure)


async def delete_schedule(database: Database, id_: UUID) -> None:
    """Delete a schedule. Files that it asked for stay."""
    await database.owner.execute(_DELETE, id_)


def _schedule(row: asyncpg.Record) -> ScheduleRecord:
    accounts = None if row["accounts"] is None else orjson.loads(row["accounts"])
    return ScheduleRecord(
        id=uuid_of(row["id"]),
        kind=StoredExportKind(row["kind"]),
        every=row["every"],
        time_zone=row["time_zone"],
        requested_by=row["requested_by"],
        role=row["role"],
        accounts=None if accounts is None else tuple(accounts),
        request=orjson.loads(row["request"]),
        requested_at=row["requested_at"],
        period_start=row["period_start"],
        due_at=row["due_at"],
        failure=row["failure"],
    )
