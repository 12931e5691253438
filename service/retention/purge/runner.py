"""The purge: destroys what is due, keys first, and can continue after a crash at any point.

The states, and the step after each:

- REQUESTED (by a digest, in GraphQL): it is accepted
- PLANNED: active holds are read
- HOLDS_CHECKED: the intent is written to the ledger
- INTENT_LEDGERED: held errors are copied, their record keys escrowed, period keys destroyed
- KEYS_DESTROYED: partitions are detached and counted
- DETACHED: held rows are copied and the rest dropped, partition by partition, file by file
- DROPPED: tables and keys are checked to be gone
- VERIFIED: the result is written to the ledger, with files of the cold tier that could not be removed yet
- DONE

From KEYS_DESTROYED on nothing sealed can be opened but what a hold keeps, whatever happens next. The state is written
after its step, and each step can be repeated, so that the next process continues from the last state. One purge runs at
a time. A hold that is placed while a purge runs keeps those of its rows that are not dropped yet.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from uuid import UUID

import asyncpg

from policies.evidence import LedgerKind, moment
from policies.policy.model import Store
from policies.retention import Partition, PurgePlan, period_bounds, plan
from service.keyring import KeyringUnavailableError, PeriodKeyName
from service.query.buckets.tier_days import TierDays
from service.retention import ledger_entries as entries
from service.retention.clock_guard import WAIT
from service.retention.cold.thaw import files_left, said_of_left, thaw_into, tier_of
from service.retention.context import RetentionContext
from service.retention.errors import PurgeClockError, PurgeFailedError
from service.retention.holds.escrow import ACTIVE, RowsToHold, copy_held, count_copied
from service.retention.holds.hold_record import restore_holds
from service.retention.holds.holds import holds_locked, lock_holds
from service.retention.locks import PURGE
from service.retention.purge.idle import note_nothing_due, settle_idle
from service.retention.purge.planning import due_plans, named_plan
from service.retention.purge.row_count import count_rows
from service.retention.purge_runs import SYSTEM, PurgeState, Run, Runs
from service.retention.rollups.totals import delete_sums
from service.retention.rollups.unsummed import OUTLIVING, make_sums
from service.storage.cold.catalogue import file_of, remove_file
from service.storage.cold.errors import ColdFileError
from service.storage.connection import Connection
from service.storage.errors import DatabaseError, PartitionsBusyError
from service.storage.notifications import notify

_POLL_S: Final = 0.5
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_ACTIVE_HOLDS: Final = f"SELECT id FROM hold AS held_by WHERE {ACTIVE} ORDER BY placed_at"  # noqa: S608 - our own

OnStep = Callable[[str], None]
"""Called with the name of a step when it has taken effect, before the next begins."""


def ignore_step(_: str) -> None:
    """The `OnStep` that does nothing."""


async def run_purge(
    context: RetentionContext,
    *,
    requested_by: str = SYSTEM,
    plan_digest: str | None = None,
    wait: bool = True,
    on_step: OnStep = ignore_step,
) -> list[Run]:
    """Finish what earlier purges began, then destroy what is due. Returns the purges that this call ended.

    While another process purges, this waits for it, or returns at once without `wait`. With `plan_digest` nothing but
    that plan is carried out: PurgePlanError when what is due differs. PurgeClockError when the clock cannot be trusted
    (see `service.retention.clock_guard`); PartitionsBusyError and KeyringUnavailableError leave the purge where it is,
    for the next call.
    """
    async with _exclusive(context.owner, wait=wait) as ours:
        if not ours:
            return []
        purge = _Purge(context, on_step)
        purge.now = await context.now()
        await context.partitions.drop_left_behind()
        await purge.runs.distrust_later_than(purge.now)
        async with context.owner.acquire() as connection, connection.transaction():
            await lock_holds(connection)
            await restore_holds(context, connection)
        ended = await purge.finish_earlier(plan_digest)
        if plan_digest is None or plan_digest not in [run.digest for run in ended]:
            ended += await purge.destroy_due(plan_digest, requested_by)
        if not ended:
            await note_nothing_due(context, purge.now, requested_by)
        return ended


class _Purge:
    """One purge under the lock. `now` is the time by which it decides what is due."""

    def __init__(self, context: RetentionContext, on_step: OnStep) -> None:
        self._context = context
        self._owner = context.owner
        self._partitions = context.partitions
        self._keyring = context.keyring
        self._on_step = on_step
        self.runs = Runs(context.owner)
        self.now = context.clock()

    async def finish_earlier(self, plan_digest: str | None) -> list[Run]:
        """Carry out the purges that were begun and not ended, except one that has to wait for the clock."""
        ended = []
        for run in await self.runs.unfinished():
            if run.waits and not run.plan:
                await settle_idle(self._context, self.now, run)
            elif not run.waits or plan_digest == run.digest:
                ended.append(await self._carry_out(run))
            elif plan_digest is not None:
                await self._fail(run, "another plan was carried out instead")
            elif self.now < run.planned_at:
                await self._fail(run, "the clock had jumped and went back: nothing was destroyed")
            elif self.now < run.planned_at + WAIT:
                raise _clock_jumped(run)
            else:
                ended.append(await self._carry_out(run))
        return ended

    async def destroy_due(self, plan_digest: str | None, requested_by: str) -> list[Run]:
        """Plan and carry out a purge of what is due now: of what has settled, or of all that the digest names."""
        if plan_digest is not None:
            due = await named_plan(self._context, plan_digest, self.now)
        else:
            due = (await due_plans(self._context, self.now)).settled
        if not due:
            return []
        named = plan_digest is not None
        jumped = not named and await self.runs.clock_is_untrusted(self.now)
        run = await self.runs.begin(due, now=self.now, requested_by=requested_by, waits=jumped, named=named)
        self._on_step("planned")
        if jumped:
            raise _clock_jumped(run)
        return [await self._carry_out(run)]

    async def _carry_out(self, run: Run) -> Run:
        steps = {
            PurgeState.REQUESTED: self._accept,
            PurgeState.PLANNED: self._check_holds,
            PurgeState.HOLDS_CHECKED: self._ledger_intent,
            PurgeState.INTENT_LEDGERED: self._destroy_keys,
            PurgeState.KEYS_DESTROYED: self._detach,
            PurgeState.DETACHED: self._drop,
            PurgeState.DROPPED: self._verify,
            PurgeState.VERIFIED: self._finish,
        }
        while (step := steps.get(run.state)) is not None:
            try:
                run = await step(run)
            except (PartitionsBusyError, KeyringUnavailableError, ColdFileError) as error:
                await self.runs.note_delay(run, str(error))
                raise
            except DatabaseError as error:  # the database is not as the record says; later purges must still run
                await self._fail(run, str(error))
                raise PurgeFailedError(str(error)) from error
            self._on_step(f"recorded {run.state}")
        self._partitions.forget()
        await notify(self._owner, "purge")
        return run

    async def _accept(self, run: Run) -> Run:
        return await self.runs.save(run, expected=run.state, state=PurgeState.PLANNED)

    async def _check_holds(self, run: Run) -> Run:
        # The record can be old, and the policy may have changed: only what is due by both is destroyed.
        run = run if run.planned_at == self.now else await self._without_undue(run)
        holds = tuple(str(row["id"]) for row in await self._owner.fetch(_ACTIVE_HOLDS, self.now))
        return await self.runs.save(run, expected=run.state, state=PurgeState.HOLDS_CHECKED, holds=holds)

    async def _ledger_intent(self, run: Run) -> Run:
        facts = {
            "run": str(run.id),
            "plan": run.digest,
            "partitions": entries.listed([part.name for part in run.plan.partitions]),
            "keys": entries.listed(entries.key_names(run.plan.keys)),
            "holds": entries.listed(run.holds),
        }
        async with self._owner.acquire() as connection, connection.transaction():
            index = await self._context.ledger.append(
                LedgerKind.PURGE_INTENT, facts, actor=run.requested_by, connection=connection
            )
            return await self.runs.save(
                run,
                expected=run.state,
                connection=connection,
                state=PurgeState.INTENT_LEDGERED,
                ledger_index=index,
            )

    async def _destroy_keys(self, run: Run) -> Run:
        run = await self._without_undue(run)
        names = [PeriodKeyName(*key) for key in run.plan.keys]
        async with holds_locked(self._owner) as connection:
            if await connection.fetch(_ACTIVE_HOLDS, self.now):
                for name in names:
                    await self._escrow(connection, name)
            self._on_step("record keys escrowed")
            # Still under the lock: a hold is placed before this and escrowed, or after it, with nothing to escrow.
            await self._keyring.destroy(names)
        self._on_step("keys destroyed")
        await notify(self._owner, "purge")
        destroyed = entries.key_names(run.plan.keys)
        async with self._owner.acquire() as connection, connection.transaction():
            for first in range(0, len(destroyed), entries.NAMES_MAX):
                # All of them by name, because they are destroyed again when an old keyring is restored.
                facts = {"run": str(run.id), "keys": destroyed[first : first + entries.NAMES_MAX]}
                await self._context.ledger.append(
                    LedgerKind.KEY_DESTROYED, facts, actor=run.requested_by, connection=connection
                )
            return await self.runs.save(
                run,
                expected=run.state,
                connection=connection,
                state=PurgeState.KEYS_DESTROYED,
                keys_destroyed=len(names),
            )

    async def _escrow(self, connection: Connection, name: PeriodKeyName) -> None:
        start, end = period_bounds(name.period)
        async with connection.transaction():
            await copy_held(connection, self._keyring, RowsToHold(Store.CALL_ERROR, name.tier, start, end), self.now)

    async def _detach(self, run: Run) -> Run:
        await self._partitions.finalise_leftovers()
        run = await self._without_undue(run)
        # The calls come first, so that they are counted while the sums of their days still exist.
        calls = [part for part in run.plan.partitions if part.store is Store.CALL]
        others = [part for part in run.plan.partitions if part.store is not Store.CALL]
        counted = (*await self._detach_and_count(run, calls), *await self._detach_and_count(run, others))
        return await self.runs.save(
            run, expected=run.state, state=PurgeState.DETACHED, plan=replace(run.plan, partitions=counted)
        )

    async def _detach_and_count(self, run: Run, parts: Sequence[Partition]) -> list[Partition]:
        """Detach these, and count their rows exactly: they no longer change, and no statement waits for the count."""
        for part in parts:
            if part.store is Store.CALL:
                await make_sums(self._owner, TierDays(part.tier, part.start, part.end), OUTLIVING)
            await self._partitions.detach(part)
            self._on_step("partition detached")
        days = await self._partitions.catalogue([Store.USAGE_DAY], sized=False)
        return [replace(part, rows_estimate=await count_rows(self._owner, run.id, part, days)) for part in parts]

    async def _drop(self, run: Run) -> Run:
        held, failures = 0, list[Exception]()
        for part in run.plan.partitions:
            try:
                held += await self._drop_partition(part)
            except Exception as error:  # the others are dropped all the same, and then this is raised
                failures.append(error)
        if failures:
            raise failures[0]
        total = sum(part.rows_estimate for part in run.plan.partitions)
        return await self.runs.save(
            run, expected=run.state, state=PurgeState.DROPPED, rows_dropped=total, rows_held_back=held
        )

    async def _drop_partition(self, part: Partition) -> int:
        """Copy the rows of a detached partition that holds name, and drop it; how many of its rows are kept."""
        rows = RowsToHold(part.store, part.tier, part.start, part.end, part.name)
        # Done while the table has its primary key, which finds the rows. For a later hold the complete table is read.
        file = await file_of(self._owner, part.name) if part.store is Store.CALL else None
        if file is not None and not file.frozen:
            # A copy goes before its listing: one that nothing lists would be left for ever.
            await tier_of(self._context).forget(file)
        early = await self._copy_held_early(part, rows)
        self._on_step("held rows copied")

        async def keep(connection: Connection) -> None:
            """Delete the sums and copy what holds name, in the transaction that drops the rows."""
            await delete_sums(connection, part)
            await self._copy_held(connection, rows, early)
            if file is not None:
                await remove_file(connection, file.id)

        await self._partitions.drop(part, first=keep, on_index=lambda: self._on_step("index dropped"))
        if file is not None and self._context.database.cold is not None:
            with suppress(ColdFileError):  # `files_left` says so, and nothing of the partition is kept for it
                await self._context.database.cold.forget(file)
        self._on_step("partition dropped")
        return await count_copied(self._owner, rows)

    async def _copy_held_early(self, part: Partition, rows: RowsToHold) -> frozenset[UUID]:
        if not await self._partitions.exists(part):
            return frozenset()
        async with self._owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            return await self._copy_held(connection, rows, frozenset())

    async def _copy_held(self, connection: Connection, rows: RowsToHold, kept: frozenset[UUID]) -> frozenset[UUID]:
        """Copy what holds name unless all active holds are in `kept`; returns the active holds.

        Nobody places another until the transaction ends.
        """
        await lock_holds(connection)
        active = frozenset(row["id"] for row in await connection.fetch(_ACTIVE_HOLDS, self.now))
        if not active <= kept:
            file = await file_of(connection, str(rows.table)) if rows.store is Store.CALL else None
            if file is not None:
                await thaw_into(self._context, connection, file, file.partition, actor=SYSTEM)
            await copy_held(connection, self._keyring, rows, self.now)
        return active

    async def _verify(self, run: Run) -> Run:
        left = [*await self._partitions.existing(run.plan.partitions)]
        left += [*await self._partitions.left_behind()]
        live = {tuple(name) for name in await self._keyring.periods()}
        left += [str(PeriodKeyName(*key)) for key in run.plan.keys if tuple(key) in live]
        if left:
            failure = f"still there after the purge: {', '.join(left)}"
            await self._fail(run, failure)
            raise PurgeFailedError(failure)
        self._on_step("verified")
        return await self.runs.save(run, expected=run.state, state=PurgeState.VERIFIED)

    async def _finish(self, run: Run) -> Run:
        left = await files_left(self._context, run.plan.partitions)
        return await self._end(run, PurgeState.DONE, said_of_left(left), files_left=len(left))

    async def _fail(self, run: Run, reason: str) -> None:
        await self._end(run, PurgeState.FAILED, reason)

    async def _end(self, run: Run, state: PurgeState, failure: str | None, *, files_left: int = 0) -> Run:
        facts: dict[str, object] = {
            "run": str(run.id),
            "state": state.value,
            "partitions": len(run.plan.partitions),
            "rows": run.rows_dropped,
            "keys": run.keys_destroyed,
            "held": run.rows_held_back,
            "finished_at": moment(self.now),
        }
        facts |= {"files_left": files_left} if files_left else {}
        async with self._owner.acquire() as connection, connection.transaction():
            index = await self._context.ledger.append(
                LedgerKind.PURGE_RESULT, facts, actor=run.requested_by, note=failure, connection=connection
            )
            return await self.runs.save(
                run,
                expected=run.state,
                connection=connection,
                state=state,
                finished_at=self.now,
                failure=failure,
                ledger_index=index,
            )

    async def _without_undue(self, run: Run) -> Run:
        """The run without what is no longer due. What is detached or half detached stays in its plan."""
        earlier = () if run.named else await self._context.earlier(self.now)
        catalogue = await self._partitions.catalogue(sized=False)
        due = plan(self._context.policy(), catalogue.partitions, run.plan.keys, self.now, earlier)
        names = {part.name for part in due.partitions}
        parts = tuple(part for part in run.plan.partitions if part.name in names or part.name not in catalogue.attached)
        before = (PurgeState.PLANNED, PurgeState.HOLDS_CHECKED, PurgeState.INTENT_LEDGERED)
        keys = due.keys if run.state in before else run.plan.keys
        kept = PurgePlan(parts, keys)
        if kept == run.plan:
            return run
        spared = [part.name for part in run.plan.partitions if part not in parts]
        spared += [str(PeriodKeyName(*key)) for key in run.plan.keys if key not in keys]
        return await self.runs.save(run, expected=run.state, plan=kept, spared=(*run.spared, *spared))


def _clock_jumped(run: Run) -> PurgeClockError:
    return PurgeClockError(
        "more than a day has passed since the last purge: nothing ran, or the clock has jumped. "
        f"If it is {run.planned_at:%Y-%m-%d %H:%M} UTC, the purge goes on by itself an hour from then, "
        f"or at once with `calledger purge --plan {run.digest}`"
    )


@asynccontextmanager
async def _exclusive(owner: asyncpg.Pool, *, wait: bool) -> AsyncIterator[bool]:
    """Whether this is the only purge of the database, until the block ends.

    It polls instead of queueing: a waiting statement holds a snapshot, and a detach of the running purge would wait for
    that in turn.
    """
    async with owner.acquire() as connection:
        ours = await connection.fetchval(_TRY_LOCK, PURGE)
        while wait and not ours:
            await asyncio.sleep(_POLL_S)
            ours = await connection.fetchval(_TRY_LOCK, PURGE)
        try:
            yield ours
        finally:
            if ours and not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock($1)", PURGE)
