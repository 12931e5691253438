"""Group commit: what `gate.py` let pass waits in a bounded queue, one task stores what is there, and only then are
requests answered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, TypeVar

from policies import Report, Source, Store
from service.access.principal import Principal
from service.errors import ServiceError
from service.ingest.amendments.bills import Bills
from service.ingest.amendments.completion import outcome_behind
from service.ingest.amendments.nesting import innermost
from service.ingest.errors import QueueFullError, WriterClosedError
from service.ingest.formats.split import Rejection
from service.ingest.metrics import QUEUED_ROWS
from service.ingest.pipeline.batch_store import BatchStore, count_rows, not_stored, results_of, settled
from service.ingest.pipeline.gate import AdmissionGate
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.pipeline.turns import Job, JobQueue, in_parts
from service.ingest.preparation.batch_context import Rules
from service.ingest.preparation.preparation import AccountResolution, Prepared
from service.ingest.prices.price_list import Prices
from service.ingest.results import RowResult
from service.keyring import Keyring
from service.logs import get_logger
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions

log = get_logger()
_Row = TypeVar("_Row")

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
        self._batch_rows = batch_rows
        self._bills = Bills(database.writer, accounts)
        self._store = BatchStore(database.writer, self._ensure_partitions)
        self._gate = AdmissionGate(accounts=accounts, keyring=keyring, rules=rules, prices=prices, now=self._store.now)
        self._queue = JobQueue(batch_rows)
        self._rows = 0
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._closing = False
        self._long_rows = LongRows()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that were taken and are not answered yet."""
        return self._rows

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
        rows: Iterable[_Row],
        read: Callable[[_Row], Report | Rejection],
        principal: Principal,
        *,
        source: Source,
        wait_for_room: bool = False,
    ) -> list[RowResult]:
        """As `store`, and all results at once, in order."""
        parts = self.store(rows, read, principal, source=source, wait_for_room=wait_for_room)
        return [result async for part in parts for result in part]

    async def store(
        self,
        rows: Iterable[_Row],
        read: Callable[[_Row], Report | Rejection],
        principal: Principal,
        *,
        source: Source,
        wait_for_room: bool = False,
    ) -> AsyncIterator[list[RowResult]]:
        """Read `rows`, store the reports among them, and answer once they are on disk: a result per row, in order.

        `read` makes a report or a rejection of one row; `as_read` for rows that are such already.

        Rows are taken from the iterable and read as they are needed, and the results come in parts: half a million of
        them at a time would keep the loop whenever the garbage collector looks at them, and when they are freed.

        Raises ServiceError only when nothing was stored: QueueFullError when too many calls wait already (not with
        `wait_for_room`), DatabaseUnavailableError. A caller that is cancelled while waiting has submitted the rows of
        that part all the same.
        """
        parts = in_parts(rows, read, self._batch_rows, long_rows=self._long_rows)
        resolution = AccountResolution(self._accounts, principal)
        stored = False
        async for some in parts:
            part = innermost(some) if source in _NESTING else some
            try:
                if source in _BILLING:
                    await self._bills.settle((row for row in part if isinstance(row, Report)), resolution)
                outcomes = await self._submit_part(
                    part, resolution, wait_for_room=wait_for_room or stored, may_bill=source in _BILLING
                )
            except ServiceError as error:
                if not stored:
                    raise
                outcomes = [row if isinstance(row, Rejection) else not_stored(error) for row in part]
            stored = stored or any(isinstance(outcome, Prepared) for outcome in outcomes)
            of_part = list(results_of(part, outcomes))
            count_rows(source, of_part)
            yield of_part

    async def _submit_part(
        self, part: Sequence[Report | Rejection], resolution: AccountResolution, *, wait_for_room: bool, may_bill: bool
    ) -> list[Prepared | Rejection]:
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
                return outcomes
            job = Job(calls)
            self._queue.add(job)
            self._arrived.set()
            reserved = 0  # from here on the writer frees them
        finally:
            self._free(reserved)
        await job.done
        return settled(outcomes)

    async def _reserve(self, rows: int, *, wait_for_room: bool) -> None:
        # One part always passes when nothing else waits, however small the queue is.
        while not self._closing and self._rows and self._rows + rows > self._queue_rows:
            if not wait_for_room:
                raise QueueFullError
            self._left.clear()
            await self._left.wait()
        if self._closing:
            raise WriterClosedError
        self._rows += rows
        QUEUED_ROWS.set(self._rows)

    def _free(self, rows: int) -> None:
        if rows:
            self._rows -= rows
            QUEUED_ROWS.set(self._rows)
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
                if self._closing and not self._rows:
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


def as_read(row: Report | Rejection) -> Report | Rejection:
    """A row that was read before, for `Writer.submit`."""
    return row


def _as_service_error(error: Exception) -> ServiceError:
    return error if isinstance(error, ServiceError) else ServiceError()
