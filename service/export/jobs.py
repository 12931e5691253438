"""Exports that were requested are written here, while the process answers other requests.

Any process that answers may write any export: the queue is in the database, the store is shared. What is left of those
that have ended is tidied up by the others, and by the next start.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

import orjson

from service.api.exports.types import encode_export_id
from service.errors import CalledgerError
from service.export.entries import export_facts
from service.export.schedules import ask_for_due
from service.export.sources.evidence import evidence_rows
from service.export.sources.rows import exported_rows, refuse_ended
from service.export.sources.source import Parts
from service.export.store import ExportDraft, ExportStore
from service.ledger import LedgerKind
from service.log_redaction import guarded
from service.logs import get_logger
from service.runtime.runtime import Runtime
from service.storage.connection import Connection
from service.storage.control.exports import (
    ExportRecord,
    StoredExportKind,
    WrittenExport,
    claim_export,
    end_expired_exports,
    exports_with_files,
    fail_export,
    finish_export,
    live_writer,
    note_progress,
)
from service.tasks import set_within

log = get_logger()
EVERY_S: Final = 60.0
AT_ONCE: Final = 4
"""Exports that are written at a time, by all processes together."""
CHUNK_BYTES: Final = 2**16

PROGRESS_S: Final = 1.0
"""How often it is said how far a file is, and looked whether it is still wanted."""

SOURCES: Final[
    Mapping[StoredExportKind, Callable[[Runtime, ExportRecord], Awaitable[tuple[Parts, dict[str, Any], int | None]]]]
] = {
    StoredExportKind.EVIDENCE: evidence_rows,
    **dict.fromkeys(set(StoredExportKind) - {StoredExportKind.EVIDENCE}, exported_rows),
}
"""By kind: the parts of the file, what its manifest says besides counts and digest, and about how many rows it has."""


class CancelledExportError(CalledgerError):
    """nobody wants the export any more"""


class ExportWriter:
    """Writes what is in the queue, as one process of several."""

    def __init__(self, runtime: Runtime, store: ExportStore) -> None:
        self._runtime = runtime
        self._owner = runtime.database.owner
        self._store = store
        self._worker = 0
        self._alive: Connection | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    async def write_for_ever(self) -> None:
        """Tidy up, write what waits, and again when something is asked for or a minute has passed, until cancelled."""
        asked = self._runtime.export_asked
        try:
            while True:
                asked.clear()
                await self._turn()
                # Spread, so that processes that were started together do not meet every time.
                pause_s = EVERY_S * (0.9 + 0.2 * random.random())  # noqa: S311 - spread
                await set_within(asked, pause_s)
        finally:
            await self._end()

    async def tidy(self) -> None:
        """End the exports that are over, and remove every file that belongs to none."""
        await end_expired_exports(self._owner)
        # In this order: a file that comes meanwhile is not among the names.
        names = await asyncio.to_thread(self._store.names)
        await asyncio.to_thread(self._store.sweep, names, await exports_with_files(self._owner))

    async def _turn(self) -> None:
        try:
            await self.tidy()
        except Exception:  # what is over is not given out; its file goes in another round
            log.exception("exports could not be tidied up")
        try:
            await ask_for_due(self._runtime)
        except Exception:  # what is due stays due
            log.exception("exports that are due by their schedules could not be asked for")
        try:
            await self._live()
            while record := await claim_export(self._owner, self._worker, AT_ONCE):
                job = asyncio.create_task(self._write(record))
                self._jobs.add(job)
                job.add_done_callback(self._done)
        except Exception:  # a loop that has ended would leave all that is asked for in the queue
            log.exception("exports have to be tried again")

    def _done(self, job: "asyncio.Task[None]") -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            log.error("an export could not be given up; it ends with its lock", exc_info=error)
        self._runtime.export_asked.set()

    async def _live(self) -> None:
        """Hold the lock that says that this process lives; a new one when the connection was lost."""
        if self._alive is None or self._alive.is_closed():
            self._alive, self._worker = await live_writer(self._runtime.database.url)

    async def _end(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        if self._alive is not None:
            await self._alive.close()

    async def _write(self, record: ExportRecord) -> None:
        worker = self._worker
        try:
            await self._written(record, worker)
        except CancelledExportError:
            log.info("an export was cancelled", topic=record.kind.value)
        except Exception as error:  # whatever it was, the export says that it failed
            await self._give_up(record, worker, _reason(error))
            # Last: where a disk is full, a line of the log may be what fails next.
            log.exception("an export has failed", topic=record.kind.value)

    async def _give_up(self, record: ExportRecord, worker: int, reason: str) -> None:
        try:
            await fail_export(self._owner, record.id, worker, reason)
        except Exception:
            # The database is away. Without our lock it is known, when it is back, that nobody writes this any more.
            if self._alive is not None:
                self._alive.terminate()
            raise

    async def _written(self, record: ExportRecord, worker: int) -> None:
        parts, said, total = await SOURCES[record.kind](self._runtime, record)

        async def noted(rows: int, size: int) -> None:
            """Say how far the file is. Raises CancelledExportError, and ExportEndedError when the key has ended."""
            if not await note_progress(self._owner, record.id, worker, rows, size, total):
                raise CancelledExportError
            if record.kind is not StoredExportKind.EVIDENCE:
                await refuse_ended(self._runtime, record)

        with self._store.draft(record.id) as draft:
            count = await _fill(draft, parts, noted)
            counts = {"rows": count, "bytes": draft.size, "sha256": draft.sha256}
            manifest = orjson.dumps(said | counts, option=orjson.OPT_SORT_KEYS).decode()
            await asyncio.to_thread(draft.keep)
        written = WrittenExport(count, draft.size, draft.sha256, manifest)
        if not await self._finished(record, worker, written):
            await asyncio.to_thread(self._store.remove, record.id)
        else:
            log.info("an export is ready", export=encode_export_id(record.id))

    async def _finished(self, record: ExportRecord, worker: int, written: WrittenExport) -> bool:
        """Make the file one that can be fetched, and rows that can be fetched an entry of the ledger; False: it is not
        ours any more."""
        lifetime = timedelta(hours=self._runtime.settings.export_hours)
        async with self._owner.acquire() as connection, connection.transaction():
            if not await finish_export(connection, record.id, worker, written, lifetime):
                return False
            if record.kind is not StoredExportKind.EVIDENCE:
                facts, actor = export_facts(record, written), record.requested_by
                await self._runtime.ledger.append(LedgerKind.EXPORTED, facts, actor=actor, connection=connection)
        return True


async def _fill(draft: ExportDraft, parts: Parts, noted: Callable[[int, int], Awaitable[None]]) -> int:
    """Write all parts, some at once and off the loop; how many rows they hold. `noted` is called with it now and then,
    and at the end.
    """
    count, pending, due = 0, bytearray(), time.monotonic()
    async with aclosing(parts) as all_parts:  # pyright: ignore[reportArgumentType] - generators, all of them
        async for part, rows in all_parts:
            pending += part
            count += rows
            if len(pending) >= CHUNK_BYTES:
                await asyncio.to_thread(draft.write, bytes(pending))
                pending.clear()
            if time.monotonic() >= due:
                await noted(count, draft.size)
                due = time.monotonic() + PROGRESS_S
    await asyncio.to_thread(draft.write, bytes(pending))
    await noted(count, draft.size)
    return count


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"the file cannot be written: {(error.strerror or 'no reason given').lower()}"
    if isinstance(error, CalledgerError):
        return guarded(str(error))
    return "something went wrong here; the log says what"
