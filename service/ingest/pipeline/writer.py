"""Group commit: what `gate.py` let pass waits in a bounded queue, one task stores what is there, and only then are
requests answered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Final, TypeGuard, TypeVar, cast

import msgspec

from policies import Report, Source, Store
from service.access.principal import Principal
from service.errors import ServiceError
from service.ingest.amendments.bills import Bills
from service.ingest.amendments.completion import outcome_behind
from service.ingest.amendments.nesting import innermost
from service.ingest.errors import QueueFullError, WriterClosedError
from service.ingest.formats.split import Rejection, Row
from service.ingest.metrics import QUEUED_ROWS, ROWS
from service.ingest.pipeline.batch_store import BatchStore, Job, JobQueue
from service.ingest.pipeline.gate import AdmissionGate, error_chars
from service.ingest.pipeline.inserting import prepare
from service.ingest.pipeline.long_rows import LONG_BYTES, LongRows, Read
from service.ingest.preparation.batch_context import Rules
from service.ingest.preparation.preparation import AccountResolution, Prepared
from service.ingest.prices.price_list import Prices
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status
from service.keyring import Keyring
from service.logs import get_logger
from service.offload import TURN_S, clock, next_turn
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.ids import encode_call_ids
from service.storage.partitions import Partitions

log = get_logger()
_Item = TypeVar("_Item")

ERROR_CHARS_MAX: Final = 2**16
"""Error text that one request stores at a time."""
_FEW_ITEMS: Final = 16
_FEW_BYTES: Final = 2**16

_BILLING: Final = frozenset({"litellm"})
"""Sources that report work which is billed under one id, poll by poll."""

_NESTING: Final = frozenset({"otlp"})
"""Sources of which several reports may tell of one call."""


class Writer:
    """Stores reports. `rules` answers the policy in force at any moment; `start` it before, `close` it after use.

    `on_stored` is called when calls may have been stored.
    """

    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        partitions: Partitions,
        keyring: Keyring,
        rules: Callable[[], Rules],
        prices: Prices,
        queue_rows: int,
        batch_rows: int,
        on_stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_stored = on_stored
        self._accounts = accounts
        self._partitions = partitions
        self._queue_rows = queue_rows
        self.batch_rows = batch_rows
        self._bills = Bills(database.writer, accounts)
        self._store = BatchStore(
            database.writer, self._ensure_partitions, database.cold, database.workers_for_writing(prepare)
        )
        self._gate = AdmissionGate(accounts=accounts, keyring=keyring, rules=rules, prices=prices, now=self._store.now)
        self._queue = JobQueue(batch_rows)
        # Rows that were taken and are not answered yet.
        self.waiting_rows = 0
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._closing = False
        self._long_rows = LongRows()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fetch the pepper and begin to store."""
        await self._gate.open()
        self._task = asyncio.create_task(self._run(), name="calledger writer")

    async def close(self) -> None:
        """Take nothing more, store what waits, and end."""
        self._closing = True
        self._arrived.set()
        self._left.set()
        if self._task is not None:
            await self._task
        await self._store.close()
        self._gate.close()
        await self._long_rows.close()

    async def submit(
        self,
        rows: Iterable[_Item],
        read: Callable[[_Item], Report | Rejection],
        principal: Principal,
        *,
        source: Source,
        wait_for_room: bool = False,
        turn: asyncio.Lock | None = None,
    ) -> list[RowResult]:
        """As `store`, and all results at once, in order."""
        parts = self.store(rows, read, principal, source=source, wait_for_room=wait_for_room, turn=turn)
        return [result async for part in parts for result in part]

    async def store(
        self,
        rows: Iterable[_Item],
        read: Callable[[_Item], Report | Rejection],
        principal: Principal,
        *,
        source: Source,
        wait_for_room: bool = False,
        turn: asyncio.Lock | None = None,
    ) -> AsyncIterator[list[RowResult]]:
        """Read `rows`, store the reports among them, and answer once they are on disk: a result per row, in order.

        `read` makes a report or a rejection of one row; `as_read` for rows that are such already. Who stores several
        parts at a time, made by `in_parts`, shares `turn` among them: they join the queue in the order in which they
        ask for it, each as a whole.

        Rows are taken from the iterable and read as they are needed, and the results come in parts: half a million of
        them at a time would keep the loop whenever the garbage collector looks at them, and when they are freed.

        Raises ServiceError only when nothing was stored: QueueFullError when too many calls wait already (not with
        `wait_for_room`), DatabaseUnavailableError. A caller that is cancelled while waiting has submitted the rows of
        that part all the same.
        """
        # To make parts gives others their turn in between.
        whole = _alone(list(map(read, rows))) if turn is not None else None
        parts = whole or in_parts(rows, read, self.batch_rows, long_rows=self._long_rows)
        resolution = AccountResolution(self._accounts, principal)
        stored = False
        async for some in parts:
            part = innermost(some) if source in _NESTING else some
            try:
                async with turn or nullcontext():
                    outcomes, job = await self._queued(
                        part, resolution, wait_for_room=wait_for_room or stored, may_bill=source in _BILLING
                    )
                if job is not None:
                    await job.done
                    outcomes = settled(outcomes)
            except ServiceError as error:
                if not stored:
                    raise
                outcomes = [row if isinstance(row, Rejection) else not_stored(error) for row in part]
            stored = stored or any(isinstance(outcome, Prepared) for outcome in outcomes)
            of_part = list(results_of(part, outcomes))
            count_rows(source, of_part)
            yield of_part

    async def _queued(
        self, part: Sequence[Report | Rejection], resolution: AccountResolution, *, wait_for_room: bool, may_bill: bool
    ) -> tuple[list[Prepared | Rejection], Job | None]:
        """Outcomes of the rows, and the job that gives the calls among them theirs; None where there are none."""
        if may_bill:
            await self._bills.settle((row for row in part if isinstance(row, Report)), resolution)
        await self._reserve(len(part), wait_for_room=wait_for_room)
        reserved = len(part)
        try:
            outcomes = await self._gate.prepare(part, resolution)
            if may_bill:
                outcomes = await self._claimed(outcomes, resolution)
            calls = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
            self._free(reserved - len(calls))
            reserved = len(calls)
            if not calls:
                return outcomes, None
            job = Job(calls)
            self._queue.add(job)
            self._arrived.set()
            reserved = 0  # from here on the writer frees them
            return outcomes, job
        finally:
            self._free(reserved)

    async def _reserve(self, rows: int, *, wait_for_room: bool) -> None:
        # One part always passes when nothing else waits, however small the queue is.
        while not self._closing and self.waiting_rows and self.waiting_rows + rows > self._queue_rows:
            if not wait_for_room:
                raise QueueFullError
            self._left.clear()
            await self._left.wait()
        if self._closing:
            raise WriterClosedError
        self.waiting_rows += rows
        QUEUED_ROWS.set(self.waiting_rows)

    def _free(self, rows: int) -> None:
        if rows:
            self.waiting_rows -= rows
            QUEUED_ROWS.set(self.waiting_rows)
            self._left.set()
            self._arrived.set()  # the writer's task also ends by this, once nothing waits

    async def _claimed(
        self, outcomes: list[Prepared | Rejection], resolution: AccountResolution
    ) -> list[Prepared | Rejection]:
        """`outcomes`, with calls that are billed elsewhere prepared as calls of there."""
        calls = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
        moved = await self._bills.claim(calls, resolution)
        if not moved:
            return outcomes
        anew = await self._gate.prepare([call.report for call in moved], resolution)
        there = {id(call): outcome for call, outcome in zip(moved, anew, strict=True)}
        return [there.get(id(outcome), outcome) for outcome in outcomes]

    async def _ensure_partitions(self, calls: Sequence[Prepared], look_again: bool) -> None:
        if look_again:
            self._partitions.forget()
        days = {(Store.CALL, call.tier, call.started_at.toordinal()): call.started_at for call in calls}
        for call in calls:
            if call.error_at is not None:
                days[Store.CALL_ERROR, call.tier, call.error_at.toordinal()] = call.error_at
        if not days.keys() <= self._partitions.ensured:
            needs = [(store, tier, moment) for (store, tier, _), moment in days.items()]
            await self._partitions.ensure(calls[0].rules.policy, needs)

    # The writer's task -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            jobs = self._queue.take()
            if not jobs:
                if self._closing and not self.waiting_rows:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._store_jobs(jobs)

    async def _store_jobs(self, jobs: list[Job]) -> None:
        calls = [call for job in jobs for call in job.calls]
        try:
            await self._gate.readmit(calls)
            await self._store_calls([call for call in calls if call.outcome is None])
        except Exception as error:  # whatever it is, requests must be answered and the next batch stored
            log.exception("a batch was not stored")
            for call in calls:
                call.outcome = call.outcome or _as_service_error(error)
        self._free(len(calls))
        self._on_stored()
        for job in jobs:
            if not job.done.done():  # its client may have gone
                job.done.set_result(None)

    async def _store_calls(self, calls: Sequence[Prepared]) -> None:
        """Store each key once; further calls with it are duplicates if they say the same, or come after it."""
        while calls:
            first = {call.key: call for call in reversed(calls)}
            followers = [] if len(first) == len(calls) else [call for call in calls if first[call.key] is not call]
            await self._store.store(calls if not followers else [call for call in calls if first[call.key] is call])
            calls = []
            for follower in followers:
                leader = first[follower.key]
                if isinstance(leader.outcome, ServiceError):
                    follower.outcome = leader.outcome
                else:
                    follower.outcome = outcome_behind(leader, follower)
                if follower.outcome is None:
                    calls.append(follower)


async def _alone(part: list[Report | Rejection]) -> AsyncIterator[list[Report | Rejection]]:
    yield part


def as_read(row: Report | Rejection) -> Report | Rejection:
    """A row that was read before, for `Writer.submit`."""
    return row


def _as_service_error(error: Exception) -> ServiceError:
    return error if isinstance(error, ServiceError) else ServiceError()


def is_long(row: object) -> TypeGuard[Row]:
    """Whether a row is one for the process."""
    return isinstance(row, bytes | msgspec.Raw) and len(row) > LONG_BYTES


async def in_parts(
    items: Iterable[_Item],
    work: Callable[[_Item], "Report | Rejection"],
    size: int,
    *,
    long_rows: LongRows,
) -> AsyncIterator[list["Report | Rejection"]]:
    """`work(item)` of all items, in order, in lists made as they are asked for: at most `size`, and few long errors.

    What one request stores at a time, others wait for.
    """
    remaining = iter(items)
    made: list[Report | Rejection] = []
    until, chars = clock() + TURN_S, 0
    while few := list(islice(remaining, min(_FEW_ITEMS, size - len(made)))):
        # Many at a time where they are small: to look at clock and size after each would take a tenth of the work.
        for some in [few] if _bytes_of(few) <= _FEW_BYTES else [[item] for item in few]:
            first = some[0]
            rows = [await long_rows.read(cast("Read", work), first)] if is_long(first) else list(map(work, some))
            made += rows
            chars += sum([error_chars(row.error) for row in rows if isinstance(row, Report) and row.error is not None])
            if len(made) == size or chars > ERROR_CHARS_MAX:
                yield made
                made, until, chars = [], clock() + TURN_S, 0
            elif clock() > until:
                until = await next_turn()
    if made:
        yield made


def _bytes_of(items: Sequence[object]) -> int:
    """How many bytes are still to be read; 0 for rows that were read before."""
    return sum(map(len, cast("Sequence[Row]", items))) if isinstance(items[0], bytes | msgspec.Raw) else 0


def settled(outcomes: list[Prepared | Rejection]) -> list[Prepared | Rejection]:
    """Outcomes in place of calls that were not stored. Raises ServiceError when nothing was stored because of one."""
    calls = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
    stored = [call for call in calls if isinstance(call.outcome, Status)]
    if len(stored) == len(calls):
        return outcomes
    failures = [call.outcome for call in calls if isinstance(call.outcome, ServiceError)]
    if failures and not stored:
        raise failures[0]
    return [
        not_stored(outcome.outcome)
        if isinstance(outcome, Prepared) and isinstance(outcome.outcome, ServiceError)
        else outcome.outcome
        if isinstance(outcome, Prepared) and isinstance(outcome.outcome, Rejection)
        else outcome
        for outcome in outcomes
    ]


def not_stored(error: ServiceError) -> Rejection:
    """What a row is answered whose neighbours were stored before the service failed."""
    return Rejection(f"not stored: {error}", Refusal.NOT_STORED)


def results_of(rows: Sequence[Report | Rejection], outcomes: Sequence[Prepared | Rejection]) -> Iterator[RowResult]:
    """A verdict for each row."""
    calls = [(outcome.account_id, outcome.id) for outcome in outcomes if isinstance(outcome, Prepared)]
    ids = iter(encode_call_ids(calls))
    for row, outcome in zip(rows, outcomes, strict=True):
        dropped, warnings = (row.dropped, row.warnings) if isinstance(row, Report) else ({}, ())
        if isinstance(outcome, Rejection):
            status = Status.SKIPPED if outcome.code is None else Status.REJECTED
            yield RowResult(status, None, outcome.reason, dropped, warnings, outcome.code)
        elif outcome.outcome is Status.ACCEPTED:
            yield RowResult(Status.ACCEPTED, next(ids), None, dropped, warnings + outcome.warnings)
        else:
            status = outcome.outcome if isinstance(outcome.outcome, Status) else Status.REJECTED
            code = Refusal.CONFLICT if status is Status.CONFLICT else None
            yield RowResult(status, next(ids), None, dropped, warnings + outcome.warnings, code)


def count_rows(source: str, verdicts: Sequence[RowResult]) -> None:
    """Add up a request's rows for `/metrics`, by source and status."""
    statuses = [verdict.status for verdict in verdicts]
    for status in Status:
        if count := statuses.count(status):
            ROWS.labels(source, status.value).inc(count)
