"""Asks for exports that are due by their schedules, as one process of several.

A schedule is taken by one process at a time, and asks for each of its periods once: the export and the next period are
committed together, and the database refuses a second export of a period. What was missed while no process ran is asked
for when one runs again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from service.api.exports.requests import ExportRequest
from service.api.exports.schedules import GRACE, periods_between, time_field_of
from service.export.sources.rows import ExportEndedError, refuse_ended
from service.logs import get_logger
from service.query.model.errors import BadInputError
from service.query.scan.ranges import DatabaseClock
from service.runtime.runtime import Runtime
from service.storage.connection import Connection
from service.storage.control.export_schedules import ScheduleRecord, advance_schedule, due_schedule, end_schedule
from service.storage.control.exports import ExportBusyError, add_export

log = get_logger()
MISSED_MAX: Final = 7
"""How many missed periods are made up for; of older ones it is said that they were left out."""
_AT_ONCE: Final = 100


async def ask_for_due(runtime: Runtime) -> None:
    """Put what is due into the queue of exports."""
    now, busy = await DatabaseClock(runtime.database).now(), set[UUID]()
    for _ in range(_AT_ONCE):
        async with runtime.database.owner.acquire() as connection, connection.transaction():
            schedule = await due_schedule(connection, busy)
            if schedule is None:
                return
            try:
                async with connection.transaction():
                    await _ask(runtime, connection, schedule, now)
            except ExportBusyError:
                busy.add(schedule.id)  # it stays due


async def _ask(runtime: Runtime, connection: Connection, schedule: ScheduleRecord, now: datetime) -> None:
    """Ask for the period that is due, and go on to the next one. Raises ExportBusyError."""
    try:
        principal = await refuse_ended(runtime, schedule)
        periods = periods_between(schedule.every, schedule.time_zone, schedule.period_start, now)
    except (ExportEndedError, BadInputError) as error:
        await end_schedule(connection, schedule.id, str(error))
        log.warning("an export schedule has ended", reason=str(error))
        return
    ended = [period for period in periods if period[1] + GRACE <= now]
    left_out = max(0, len(ended) - MISSED_MAX)
    start, end = periods[left_out]
    stored = request_for(schedule, start, end).stored
    try:
        async with connection.transaction():
            scheduled = (schedule.id, start)
            await add_export(connection, uuid4(), schedule.kind, principal, runtime.applied.digest, stored, scheduled)
    except asyncpg.UniqueViolationError:
        log.info("a period of an export schedule had been asked for already")
    following = periods_between(schedule.every, schedule.time_zone, end, end)[0]
    said = f"no process ran for long: {left_out} periods before {start:%Y-%m-%dT%H:%MZ} were left out"
    await advance_schedule(connection, schedule.id, end, following[1] + GRACE, said if left_out else None)


def request_for(schedule: ScheduleRecord, start: datetime, end: datetime) -> ExportRequest:
    """What a schedule asks for one period, half-open."""
    request = ExportRequest.of(schedule.kind.value, schedule.request)
    bounds = {"gte": start.isoformat(), "lt": end.isoformat()}
    return replace(request, filter={**(request.filter or {}), time_field_of(request.kind): bounds})
