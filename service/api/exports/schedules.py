"""Exports that are asked for again each day or month: `createExportSchedule`, `exportSchedules`,
`deleteExportSchedule`.
"""

from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import Annotated, Final
from uuid import uuid4

import strawberry

from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import newest_first, own_key, read_scoped_page
from service.api.exports.inputs import CreateExportInput, ExportKind
from service.api.exports.kinds import SHAPES
from service.api.exports.mutations import checked_request
from service.api.exports.types import SCHEDULE_PREFIX
from service.api.types.calls import Node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument, described, value
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_id, encode_id
from service.api.types.scalars import TimeZone
from service.query.buckets.time_buckets import TimeBucket, edges
from service.query.model.errors import BadInputError
from service.storage.control import export_schedules as stored
from service.storage.control.exports import StoredExportKind

GRACE: Final = timedelta(minutes=15)
"""How long after its end a period is exported: calls are reported when they have ended, and some by the batch."""
_COST: Final = 1_000


@strawberry.enum
class ExportPeriod(Enum):
    """What each file of a schedule covers, by the clock of its time zone."""

    DAY = value("DAY", "From midnight to midnight.")
    MONTH = value("MONTH", "From the first to the first.")


@strawberry.input
class CreateExportScheduleInput:
    """An export, and how often it is asked for."""

    every: ExportPeriod = described("What each file covers.")
    time_zone: TimeZone = described("IANA time zone in which periods begin and end, such as `Europe/Vienna`.")
    export: CreateExportInput = described("What is exported; the schedule adds the period to its filter.")


@strawberry.type
class ExportSchedule(Node):
    """An export that is asked for again each day or month, by the rights that its key has then."""

    id: strawberry.ID = described("Opaque id, `sched_...`.")
    kind: str = described("What is exported: CALLS, ERRORS, COSTS or FOCUS.")
    format: str | None = described("CSV, NDJSON or PARQUET; null once the schedule has ended.")
    every: ExportPeriod = described("What each file covers.")
    time_zone: TimeZone = described("IANA time zone in which periods begin and end.")
    created_at: datetime = described("When it was made.")
    period_start: datetime = described("Where the next period begins that is to be exported.")
    due_at: datetime | None = described(
        "When that happens, soon after the period's end; null once the schedule has ended."
    )
    failure: str | None = described("What went wrong last, or why it has ended; null when all is well.")


@strawberry.type
class CreateExportSchedulePayload:
    """The schedule that was made."""

    schedule: ExportSchedule = described("Its first file covers the period that is under way.")


@strawberry.type
class DeleteExportSchedulePayload:
    """The schedule that was deleted."""

    schedule: ExportSchedule = described("As it was. Files that it asked for stay.")


@strawberry.type
class ExportScheduleQuery:
    """Root fields of schedules; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def export_schedules(
        self, info: Info, first: First = UNSET, after: After = UNSET
    ) -> Connection[ExportSchedule] | None:
        """The key's own schedules, newest first; everybody's for admins of every account."""
        own = own_key(info.context.scope)

        page = await read_scoped_page(
            info,
            ("export schedules", own),
            Slicing.of(first, after),
            newest_first("requested_at"),
            lambda connection, size, behind: stored.page_schedules(connection, size, requested_by=own, behind=behind),
            lambda connection: stored.count_schedules(connection, own),
        )
        return page.connection([schedule_node(one) for one in page.rows])


@strawberry.type
class ExportScheduleMutation:
    """Root fields of schedules; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=_COST)])
    async def create_export_schedule(
        self,
        info: Info,
        input: Annotated[CreateExportScheduleInput, argument("What is exported, and how often.")],
    ) -> CreateExportSchedulePayload | None:
        """Have an export asked for again after the end of each day or month, also after restarts. A period that was
        missed is made up for, once.
        """
        return CreateExportSchedulePayload(schedule=await _create(info, input))

    @strawberry.mutation(directives=[Cost(weight=10)])
    async def delete_export_schedule(
        self, info: Info, id: Annotated[strawberry.ID, argument("Its id, `sched_...`.")]
    ) -> DeleteExportSchedulePayload | None:
        """Ask for no more exports by this schedule."""
        return DeleteExportSchedulePayload(schedule=await _delete(info.context, id))


def periods_between(every: str, time_zone: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The local days or months from the one around `start` to that around `end`, as UTC moments, half-open.

    Raises BucketError for an unknown zone.
    """
    bucket = TimeBucket.DAY if every == ExportPeriod.DAY.name else TimeBucket.MONTH
    found = edges(bucket, time_zone, start, max(start, end) + timedelta(microseconds=1))
    return list(pairwise(found))


def schedule_node(schedule: stored.ScheduleRecord) -> ExportSchedule:
    """The stored schedule as the schema shows it."""
    return ExportSchedule(
        id=encode_id(SCHEDULE_PREFIX, schedule.id),
        kind=schedule.kind.value,
        format=schedule.request.get("format"),
        every=ExportPeriod[schedule.every],
        time_zone=TimeZone(schedule.time_zone),
        created_at=schedule.requested_at,
        period_start=schedule.period_start,
        due_at=schedule.due_at,
        failure=schedule.failure,
    )


async def _create(info: Info, input: CreateExportScheduleInput) -> ExportSchedule:
    context, every = info.context, input.every.name
    now = await context.reader.clock.now()
    [(start, end)] = periods_between(every, input.time_zone, now, now)
    kind = input.export.kind
    asked = await checked_request(info, input.export)
    if kind is ExportKind.FOCUS and input.time_zone != "UTC":
        raise BadInputError("FOCUS has rows by UTC day: its schedules are of the time zone `UTC`")
    if asked.filter is not None and time_field_of(kind.name) in asked.filter:
        raise BadInputError(f"the schedule says the time: leave `{time_field_of(kind.name)}` out of the filter")
    period, first = (every, input.time_zone), (start, end + GRACE)
    schedule = await stored.add_schedule(
        context.reader.database, uuid4(), StoredExportKind[kind.name], context.scope, period, asked.stored, first
    )
    return schedule_node(schedule)


def time_field_of(kind: str) -> str:
    """What a kind's filter calls the time."""
    return SHAPES[kind].time_field


async def _delete(context: Context, id_: str) -> ExportSchedule:
    number, own = decode_id(SCHEDULE_PREFIX, id_), own_key(context.scope)
    schedule = None
    if number is not None:
        async with reading(context) as connection:
            schedule = await stored.get_schedule(connection, number)
    if schedule is None or own not in (None, schedule.requested_by):
        raise BadInputError(f"there is no schedule `{id_[:60]}`")
    await stored.delete_schedule(context.reader.database, schedule.id)
    return schedule_node(schedule)
