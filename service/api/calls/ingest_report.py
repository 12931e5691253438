"""Counts of refused reports: for operators of the gateways, and for auditors who check that nothing is missing."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated

import strawberry

from service.api.execution.context import Info
from service.api.types.declarations import UNSET, argument, described, value
from service.api.types.directives import Cost
from service.api.types.scalars import BigInt
from service.query.records.refusals import ROWS_MAX, read_refusals
from service.storage.control.refusals import NO_ACCOUNT


@strawberry.enum
class RefusalReason(Enum):
    """Why a reported call, or a request as a whole, was not stored."""

    ROW_UNREADABLE = value("ROW_UNREADABLE", "The row is no JSON object, or nests too deeply.")
    FIELD_MISSING = value("FIELD_MISSING", "A field that a call cannot do without is absent.")
    FIELD_INVALID = value("FIELD_INVALID", "A field that a call cannot do without is not as it should be.")
    ACCOUNT_UNUSABLE = value(
        "ACCOUNT_UNUSABLE", "The account's name has the format of a credential, or holds an e-mail address."
    )
    ACCOUNT_NOT_ALLOWED = value("ACCOUNT_NOT_ALLOWED", "The key is bound to other accounts.")
    TOO_OLD = value("TOO_OLD", "The call is older than calls are kept.")
    TOO_NEW = value("TOO_NEW", "The call is more than 24 hours ahead.")
    CORRECTION_INVALID = value("CORRECTION_INVALID", "A correction that does not fit the call that it corrects.")
    CONFLICT = value("CONFLICT", "Another call with this id is stored.")
    DATABASE_REFUSED = value("DATABASE_REFUSED", "The database refused the row.")
    NOT_STORED = value("NOT_STORED", "The database was away when the rest of the request was stored already.")
    BODY_UNREADABLE = value("BODY_UNREADABLE", "A request in which no row can be made out.")
    BODY_TOO_LARGE = value("BODY_TOO_LARGE", "A request that is larger than the limit. LiteLLM does not repeat it.")
    BODY_INCOMPLETE = value("BODY_INCOMPLETE", "A request whose connection ended before it did.")
    ENCODING_NOT_SUPPORTED = value("ENCODING_NOT_SUPPORTED", "A request that is packed by anything but gzip.")
    UNAUTHENTICATED = value("UNAUTHENTICATED", "A request without a valid key.")
    FORBIDDEN = value("FORBIDDEN", "A request with a key that may not report.")
    QUEUE_FULL = value("QUEUE_FULL", "A request that came while too many calls waited.")
    UNAVAILABLE = value("UNAVAILABLE", "A request that came while the database was away, or the service stopped.")
    INTERNAL = value("INTERNAL", "A request that failed by our mistake.")


@strawberry.type
class IngestRefusal:
    """How many of one hour, source, account and reason were refused."""

    hour: datetime = described("Beginning of the hour, in UTC.")
    source: str = described("The gateway's family, by the path that it reported to.")
    reason: RefusalReason = described("Why.")
    account: str | None = described("The account that the key is bound to; null where the key does not tell.")
    refused: BigInt = described("How many calls; of reasons that refuse a request as a whole, how many requests.")


@strawberry.type
class IngestReport:
    """What was refused in a time, by hour, source, account and reason, without its content."""

    since: datetime = described("Beginning of the first hour that is counted.")
    until: datetime = described("End of the time.")
    refused: BigInt = described("Sum of all that was refused, calls and requests.")
    rows: list[IngestRefusal] = described(f"Newest first, at most {ROWS_MAX}.")
    truncated: bool = described("Whether there are more rows than are shown.")


Since = Annotated[datetime, argument("From the hour of this time on; counts are kept 31 days.")]
Until = Annotated[datetime | None, argument("Up to this time; now when not given.")]


@strawberry.type
class RefusalQuery:
    """The root field of refused reports; part of `Query`."""

    @strawberry.field(directives=[Cost(weight=20)])
    async def ingest_report(self, info: Info, since: Since, until: Until = UNSET) -> IngestReport | None:
        """What was refused on its way in. A key that is bound to accounts sees what keys of these sent."""
        context = info.context
        since = _utc(since)
        end = await context.reader.clock.now() if until in (None, UNSET) else _utc(until)
        async with context.reader.connection(context.scope) as connection:
            counts, total = await read_refusals(connection, since, end, context.scope.accounts)
        names = context.reader.accounts
        rows = [
            IngestRefusal(
                hour=count.hour,
                source=count.source,
                reason=RefusalReason[count.reason.upper()],
                account=None if count.account_id == NO_ACCOUNT else await names.name(count.account_id),
                refused=BigInt(count.refused),
            )
            for count in counts
        ]
        return IngestReport(
            since=since.replace(minute=0, second=0, microsecond=0),
            until=end,
            refused=BigInt(total),
            rows=rows,
            truncated=len(rows) == ROWS_MAX,
        )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
