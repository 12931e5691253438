"""Stores a batch of prepared calls over one connection of its own: all or nothing, again after a lost connection, and
cut in two when the database refuses it, until the bad row stands alone.

`JobQueue` holds what waits for it, and says which of it one commit stores.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from service.errors import ServiceError
from service.ingest.amendments.completion import complete, may_complete, stored_digests
from service.ingest.amendments.correction import correct
from service.ingest.errors import CONNECTION_FAULTS, DATABASE_FAULTS
from service.ingest.formats.split import Rejection
from service.ingest.metrics import BATCH_ROWS, BISECTED
from service.ingest.pipeline.gate import error_chars
from service.ingest.pipeline.inserting import Keys, insert_copied, insert_on_workers, prepare
from service.ingest.preparation.preparation import Prepared
from service.ingest.refusals import Refusal
from service.ingest.results import Status
from service.logs import get_logger
from service.storage.citus.workers import Workers
from service.storage.cold.catalogue import LATE_AGE
from service.storage.cold.errors import ColdFileError
from service.storage.cold.moving import ColdKey, brought_back
from service.storage.cold.tier import ColdTier
from service.storage.connection import Connection
from service.storage.errors import DatabaseUnavailableError
from service.storage.statements.write import DATABASE_STATE, STAGED_COLUMNS, STORE_GIVEN

log = get_logger()

_PAUSES_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
FEW_MAX: Final = 50
"""Rows up to which a batch comes with its statement. A copy pays for itself from some fifty on: below, what surrounds
it is most of the batch, another round trip and a temporary table whose files each commit cuts, and waits for, behind
whatever else the disk has to do.
"""
_JSON_TEXTS: Final = ("amount_parts", "tags", "units")
_BATCH_TIMEOUT_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 10.0
_STATE_AGE_MAX: Final = timedelta(seconds=60)
_ROW_FAULTS: Final = ("22", "23", "54")  # data exception, integrity violation, program limit (SQLSTATE classes)
_PASSING_FAULTS: Final = (
    "08",
    "40",
    "53",
    "55",
    "57",
    "58",
)  # connection, rollback, resources, locks, operator, system
_NO_PARTITION: Final = "no partition of relation"

_Acquired: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

EnsurePartitions = Callable[[Sequence[Prepared], bool], Awaitable[None]]
"""Makes the partitions that these calls want; True: look again, what was known is not so."""


class _RefusedError(Exception):
    """The database refuses a row of the batch; `code` is its SQLSTATE."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BatchStore:
    """Gives each call of a batch its outcome. Not for two batches at once."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        ensure_partitions: EnsurePartitions,
        cold: ColdTier | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._pool = pool
        self._workers = workers
        self._fresh = Keys()
        self._cold = cold
        self._ensure_partitions = ensure_partitions
        self._connection: _Acquired | None = None
        self._ahead = timedelta(0)
        self._logs_parameters = True  # until it was seen not to
        self._state_read_at: datetime | None = None

    async def store(self, calls: Sequence[Prepared]) -> None:
        """Store calls with different keys. Afterwards each has an outcome; a ServiceError means it is not stored.

        Raises nothing that is about the calls or the database.
        """
        self._fresh = Keys()
        await self._store_or_divide(calls)

    async def _store_or_divide(self, calls: Sequence[Prepared]) -> None:
        try:
            await self._store_patiently(calls)
        except _RefusedError as refused:
            if len(calls) == 1:
                log.warning("the database refused a call", sqlstate=refused.code)
                calls[0].outcome = Rejection(
                    f"the database refused the call (SQLSTATE {refused.code})", Refusal.DATABASE_REFUSED
                )
                return
            BISECTED.inc()
            middle = len(calls) // 2
            await self._store_or_divide(calls[:middle])
            await self._store_or_divide(calls[middle:])
        except ServiceError as error:
            for call in calls:
                call.outcome = call.outcome or error

    async def now(self) -> datetime:
        """The moment by the database's clock, measured once per minute, and whether parameters come into its log."""
        local = datetime.now(UTC)
        if self._state_read_at is None or abs(local - self._state_read_at) > _STATE_AGE_MAX:
            with suppress(*DATABASE_FAULTS):
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    state = await self._pool.fetchrow(DATABASE_STATE)
                assert state is not None
                self._ahead = state["now"] - datetime.now(UTC)
                self._logs_parameters = state["logs_parameters"]
                self._state_read_at = local
        return local + self._ahead

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._release(self._connection)
        if self._workers is not None:
            await self._workers.close()

    async def _store_patiently(self, calls: Sequence[Prepared]) -> None:
        """Try again while the fault is a passing one: storing the same calls twice stores them once."""
        looked_again = False
        for pause_s in (*_PAUSES_S, None):
            try:
                async with asyncio.timeout(_BATCH_TIMEOUT_S):
                    await self._ensure_partitions(calls, looked_again)
                    await self._store_once(calls)
                return
            except asyncpg.CheckViolationError as error:
                if looked_again or not str(error).startswith(_NO_PARTITION):
                    raise _RefusedError(error.sqlstate) from error
                looked_again = True
            except asyncpg.PostgresError as error:
                await self._judge(error, pause_s)
            except TimeoutError as error:  # the database stands still: one wait for that is enough
                await self._pause(error, None)
            except CONNECTION_FAULTS as error:
                await self._pause(error, pause_s)
        raise DatabaseUnavailableError

    async def _judge(self, error: asyncpg.PostgresError, pause_s: float | None) -> None:
        code = error.sqlstate or ""
        if code.startswith(_ROW_FAULTS):
            raise _RefusedError(code) from error
        if not code.startswith(_PASSING_FAULTS):
            log.error("the database does not take calls", sqlstate=code, error=type(error).__name__)
            raise DatabaseUnavailableError from error
        await self._pause(error, pause_s)

    async def _pause(self, error: Exception, pause_s: float | None) -> None:
        log.warning("storing calls failed for now", error=type(error).__name__, last_try=pause_s is None)
        if self._connection is not None:
            await self._release(self._connection, broken=True)
        if pause_s is None:
            raise DatabaseUnavailableError from error
        await asyncio.sleep(pause_s)

    async def _store_once(self, calls: Sequence[Prepared]) -> None:
        """Give each call its outcome; those that are stored have theirs although what follows fails."""
        connection = await self._ready()
        missing = [call for call in calls if call.outcome is None]
        if keys := late_keys(missing, datetime.now(UTC) + self._ahead):
            try:
                async with brought_back(connection, self._cold, keys.values()):
                    await self._store_missing(connection, missing)
            except ColdFileError as error:
                for position in keys:
                    missing[position].outcome = missing[position].outcome or error
                await self._store_missing(connection, [call for call in missing if call.outcome is None])
        else:
            await self._store_missing(connection, missing)

    async def _store_missing(self, connection: Connection, missing: list[Prepared]) -> None:
        corrections = [call for call in missing if call.correction is not None]
        if corrections:
            # After the calls of the same batch, which they may correct.
            missing = [call for call in missing if call.correction is None]
            await self._store_calls_once(connection, missing)
            while unsettled := [call for call in corrections if call.outcome is None]:
                await self._correct(connection, unsettled)
        else:
            await self._store_calls_once(connection, missing)

    async def _correct(self, connection: Connection, corrections: Sequence[Prepared]) -> None:
        try:
            await correct(connection, corrections)
        except (ValueError, TypeError, OverflowError) as error:  # the driver could not encode a value
            raise _RefusedError("22000") from error

    async def _store_calls_once(self, connection: Connection, missing: Sequence[Prepared]) -> None:
        if not missing:
            return
        keys = await self._insert_new(connection, missing)
        BATCH_ROWS.observe(len(missing))
        known: list[Prepared] = []
        for call in missing:
            if call.key in keys:
                known.append(call)
            else:
                call.outcome = Status.ACCEPTED
        if known:
            await _judge_stored(connection, known)

    async def _insert_new(self, connection: Connection, calls: Sequence[Prepared]) -> Keys:
        try:
            if len(calls) <= FEW_MAX and not self._logs_parameters:
                known = await insert_given(connection, calls)
            elif len(calls) <= FEW_MAX or self._workers is None:
                known = await insert_copied(connection, calls)
            else:
                known = await insert_on_workers(connection, self._workers, calls, self._fresh)
        except (ValueError, TypeError, OverflowError) as error:  # the driver could not encode a value
            raise _RefusedError("22000") from error
        # What an earlier try of this batch has stored on a worker is new all the same.
        return known - self._fresh

    async def _ready(self) -> _Acquired:
        if self._connection is not None and self._connection.is_closed():
            await self._release(self._connection)
        if self._connection is None:
            connection = await self._pool.acquire(timeout=_CONNECT_TIMEOUT_S)
            try:
                await prepare(connection)
            except BaseException:
                await self._pool.release(connection)
                raise
            self._connection = connection
        return self._connection

    async def _release(self, connection: _Acquired, *, broken: bool = False) -> None:
        self._connection = None
        # The pool takes a connection that the server ended back by itself: then there is nothing to do here.
        with suppress(*DATABASE_FAULTS):
            if broken:
                connection.terminate()
            await self._pool.release(connection)


async def insert_given(connection: Connection, calls: Sequence[Prepared]) -> Keys:
    """`insert_copied` for a few calls, which come as a parameter of the statement: for a server that writes none into
    its log.
    """
    rows = orjson.dumps([_as_object(call.record) for call in calls]).decode()
    return {(row["account_id"], row["id"].hex) for row in await connection.fetch(STORE_GIVEN, rows)}


def _as_object(record: tuple[Any, ...]) -> dict[str, Any]:
    """The record's columns that have a value, as `json_to_recordset` takes them."""
    row = {name: value for name, value in zip(STAGED_COLUMNS, record, strict=True) if value is not None}
    for name in _JSON_TEXTS:
        if name in row:
            row[name] = orjson.Fragment(row[name])
    if "sealed" in row:
        row["sealed"] = f"\\x{row['sealed'].hex()}"
    return row


def late_keys(calls: Sequence[Prepared], now: datetime) -> dict[int, ColdKey]:
    """Where calls lie that are so old that they may be in a file, or that are corrected and are; by position."""
    late, found = now - LATE_AGE, dict[int, ColdKey]()
    for position, call in enumerate(calls):
        corrected = call.correction.call_key if call.correction is not None else None
        if corrected is not None:
            tier, started_at, id_ = corrected
            if started_at < late:
                found[position] = ColdKey(call.account_id, tier, started_at, id_)
        elif call.started_at < late:
            found[position] = ColdKey(call.account_id, call.tier, call.started_at, call.id)
    return found


async def _judge_stored(connection: Connection, known: Sequence[Prepared]) -> None:
    """Give calls that are there already their outcomes, and complete those of which the report knows more."""
    stored = await stored_digests(connection, known)
    unsettled: list[Prepared] = []
    for position, call in enumerate(known):
        # A call that is gone by now was there a moment ago: purged between two statements.
        if position in stored and may_complete(call, stored[position]):
            unsettled.append(call)
        else:
            call.outcome = Status.DUPLICATE
    if unsettled:
        await complete(connection, unsettled)


BATCH_ERROR_CHARS: Final = 2**17
"""Error text that one commit stores with its first job: a kibibyte of it takes the database as long as some calls."""

SMALL_ROWS: Final = 50
SMALL_CHARS: Final = 2**13
_SMALL_ROWS_MAX: Final = 500


@dataclass(slots=True, eq=False)
class Job:
    """Calls of one request that are stored together. `done` is set once each has its outcome."""

    calls: list[Prepared]
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    error_chars: int = field(init=False)

    def __post_init__(self) -> None:
        errors = [call.report.error for call in self.calls if call.report.error is not None]
        self.error_chars = sum(map(error_chars, errors))

    @property
    def is_small(self) -> bool:
        """Whether the job may join a batch that has its rows already."""
        return len(self.calls) <= SMALL_ROWS and self.error_chars <= SMALL_CHARS


class JobQueue:
    """Jobs in the order in which they came. `batch_rows`: calls of one batch, but for small jobs beside them."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Put `job` at the end of the queue."""
        self._jobs.append(job)

    def take(self) -> list[Job]:
        """The next batch: the oldest job, those that fit in with it, and small ones that would wait behind others."""
        taken: list[Job] = []
        left: list[Job] = []
        rows = chars = small_rows = 0
        while self._jobs and small_rows < _SMALL_ROWS_MAX:
            job = self._jobs.popleft()
            size = len(job.calls)
            if not taken or (rows + size <= self._batch_rows and chars + job.error_chars <= BATCH_ERROR_CHARS):
                taken.append(job)
                rows, chars = rows + size, chars + job.error_chars
            elif job.is_small:
                taken.append(job)
                small_rows += size
            else:
                left.append(job)
        self._jobs.extendleft(reversed(left))
        return taken
