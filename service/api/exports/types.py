"""Exports as the schema shows them: how far a file is, and where it is fetched. Nothing of what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry

from service.api.execution.context import Context, Info, throttled
from service.api.exports.links import PARAMETER, LinkMaker, seal_link
from service.api.types.calls import Node
from service.api.types.declarations import described, value
from service.api.types.directives import Cost
from service.api.types.public_ids import decode_id, encode_id
from service.api.types.scalars import BigInt, Digest, big_int
from service.query.records.ordering import Cursors
from service.storage.control.exports import PREFIX, ExportBusyError, ExportRecord
from service.storage.control.exports import ExportState as StoredState

SCHEDULE_PREFIX = "sched"


@strawberry.enum
class ExportState(Enum):
    """How far an export is."""

    QUEUED = value("QUEUED", "It waits for its turn.")
    RUNNING = value("RUNNING", "It is being written.")
    READY = value("READY", "It can be fetched, until `expiresAt`.")
    FAILED = value("FAILED", "There is no file; `failure` says why. Ask for it again.")
    CANCELLED = value("CANCELLED", "There is no file: it was cancelled.")
    EXPIRED = value("EXPIRED", "The file is gone. Ask for it again.")


@strawberry.type
class Export(Node):
    """A file that was asked for, and its download."""

    id: strawberry.ID = described("Opaque id, `exp_...`.")
    state: ExportState = described("How far it is.")
    kind: str = described("What is in it: CALLS, ERRORS, COSTS, FOCUS or EVIDENCE.")
    format: str | None = described("CSV, NDJSON or PARQUET; null of EVIDENCE, and once the file is gone.")
    requested_at: datetime = described("When it was asked for.")
    ended_at: datetime | None = described("When it was ready, failed or was cancelled.")
    rows: BigInt | None = described("Rows, or entries of the ledger, in the file; those so far while it is written.")
    total_rows: BigInt | None = described(
        "About how many rows it will have, while it is written; null where that is not known."
    )
    bytes: BigInt | None = described("Size of the file; so far while it is written.")
    url: str | None = described(
        "Where this service has the file: a path, to be asked for with the same key in the `Authorization` header. "
        "Null unless it is ready."
    )
    sha256: Digest | None = described("Digest of the file; null until it is ready.")
    manifest: str | None = described("What the file is, as JSON, to be kept with it; null unless it is ready.")
    expires_at: datetime | None = described("When the file is removed; null until it is ready.")
    failure: str | None = described("Why there is no file; null unless it has failed.")
    schedule: strawberry.ID | None = described(
        "The schedule that asked for it, `sched_...`; null of one that somebody did."
    )
    period_start: datetime | None = described("Where the period begins that a schedule asked for.")

    @strawberry.field(directives=[Cost(weight=2)])
    async def signed_url(self, info: Info) -> str | None:
        """The same path with a link that needs no header, for a browser or `curl -C -`: for an hour, as long as the key
        and the file live. Who has it gets the file. Null unless it is ready.
        """
        id_ = decode_export_id(self.id)
        if self.url is None or self.sha256 is None or id_ is None:
            return None
        cursors = Cursors(await info.context.reader.keyring.secret("cursor"))
        scope = info.context.scope
        maker = LinkMaker(scope.key_id, scope.role, scope.accounts is not None)
        return f"{self.url}?{PARAMETER}={seal_link(cursors, id_, self.sha256, maker)}"


def encode_export_id(id_: UUID) -> strawberry.ID:
    """The id of an export as clients see it: `exp_` and 26 characters."""
    return encode_id(PREFIX, id_)


def decode_export_id(text: str) -> UUID | None:
    """The id in `text`; None when it is none of an export."""
    return decode_id(PREFIX, text)


@contextmanager
def throttled_when_busy(context: Context) -> Iterator[None]:
    """THROTTLED with the export that is under way, and when it is worth asking again."""
    try:
        yield
    except ExportBusyError as error:
        running: dict[str, object] = {} if error.running is None else {"export": encode_export_id(error.running)}
        raise throttled(str(error), error.seconds, context, **running) from error


def export_node(record: ExportRecord, *, readable: bool = True) -> Export:
    """The stored export as the schema shows it; URL and manifest only once its file is ready, and for whom it is
    `readable`.
    """
    id_, ready = encode_export_id(record.id), record.state is StoredState.READY and readable
    return Export(
        id=id_,
        state=ExportState[record.state.name],
        kind=record.kind.value,
        format=record.request.get("format"),
        requested_at=record.requested_at,
        ended_at=record.ended_at,
        rows=big_int(record.rows),
        total_rows=big_int(record.total) if record.state is StoredState.RUNNING else None,
        bytes=big_int(record.bytes),
        url=f"/v1/exports/{id_}" if ready else None,
        sha256=None if record.sha256 is None else Digest(record.sha256),
        manifest=record.manifest if ready else None,
        expires_at=record.expires_at,
        failure=record.failure,
        schedule=None if record.schedule is None else encode_id(SCHEDULE_PREFIX, record.schedule),
        period_start=record.period_start,
    )
