"""The purge: destroys what is due, keys first, and survives being killed at any point.

PLANNED ─ period keys destroyed ─> KEYS_DESTROYED ─ partitions detached and counted ─> DETACHED ─ dropped ─> DROPPED
─ absent from the catalogue, keys gone ─> VERIFIED ─ recorded ─> DONE

From the first step on nothing sealed can be opened, whatever happens next. The state is written after its step, and
each step can be repeated, so whoever comes next goes on from the last state. One purge runs at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg

from policies.model import Policy, Store
from policies.retention import KeyPeriod, Partition, PurgePlan, plan
from service.keyring import Keyring, KeyringUnavailableError, PeriodKeyName
from service.retention import runs
from service.retention.clock import GAP_MAX, WAIT, Clock, machine_clock, trusted_now
from service.retention.errors import PurgeClockError, PurgeFailedError, PurgePlanError
from service.retention.runs import SYSTEM, PurgeState, Run
from service.storage.database import Database
from service.storage.errors import DatabaseError, PartitionsBusyError
from service.storage.notices import notify
from service.storage.partitions import Partitions, quoted

_LOCK: Final = 0x63616C6C_0004
_POLL_S: Final = 0.5
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"

OnStep = Callable[[str], None]
"""Called with a step's name when it has taken effect, before the next begins."""


def nobody_watches(_: str) -> None:
    """The usual `OnStep`."""


async def plan_purge(
    database: Database, partitions: Partitions, keyring: Keyring, policy: Policy, *, now: datetime | None = None
) -> PurgePlan:
    """What a purge would destroy now by the database's clock (or at `now`): nothing is written or destroyed."""
    now = now or await trusted_now(database.owner)
    return plan(policy, await _all(partitions), [KeyPeriod(*name) for name in await keyring.periods()], now)


async def run_purge(
    database: Database,
    partitions: Partitions,
    keyring: Keyring,
    policy: Policy,
    *,
    requested_by: str = SYSTEM,
    plan_digest: str | None = None,
    wait: bool = True,
    clock: Clock = machine_clock,
    on_step: OnStep = nobody_watches,
) -> list[Run]:
    """Finish what earlier purges began, then destroy what is due. Returns the purges that were ended by this call.

    While another runner is at work it waits its turn, or returns at once without `wait`. With `plan_digest` nothing
    but that plan is carried out: PurgePlanError when what is due differs. PurgeClockError when the clock cannot be
    trusted (see `service.retention.clock`); PartitionsBusyError and KeyringUnavailableError leave the purge where it
    is, for the next call.
    """
    purge = _Purge(database, partitions, keyring, policy, on_step)
    async with _alone(database.owner, wait=wait) as ours:
        if not ours:
            return []
        purge.now = await trusted_now(database.owner, clock)
        ended = await purge.finish_earlier(plan_digest)
        if plan_digest is None or plan_digest not in [run.digest for run in ended]:
            ended += await purge.destroy_due(plan_digest, requested_by)
        if not ended:
            await runs.note_nothing_due(purge.now, requested_by=requested_by)
        return ended


class _Purge:
    """One runner under the lock. `now` is the moment that it destroys by."""

    now: datetime

    def __init__(
        self, database: Database, partitions: Partitions, keyring: Keyring, policy: Policy, on_step: OnStep
    ) -> None:
        self._database = database
        self._partitions = partitions
        self._keyring = keyring
        self._policy = policy
        self._on_step = on_step

    async def finish_earlier(self, plan_digest: str | None) -> list[Run]:
        """Carry out the purges that were begun and not ended, but for one that has to wait for the clock."""
        ended = []
        for run in await runs.unfinished():
            if not run.waits or plan_digest == run.digest:
                ended.append(await self._carry_out(run))
            elif plan_digest is not None:
                await self._give_up(run, "another plan was carried out instead")
            elif self.now < run.planned_at:
                await self._give_up(run, "the clock had jumped and went back: nothing was destroyed")
            elif self.now < run.planned_at + WAIT:
                raise _clock_jumped(run)
            else:
                ended.append(await self._carry_out(run))
        return ended

    async def destroy_due(self, plan_digest: str | None, requested_by: str) -> list[Run]:
        """Plan and carry out a purge of what is due now."""
        due = await plan_purge(self._database, self._partitions, self._keyring, self._policy, now=self.now)
        if plan_digest is not None and plan_digest != due.digest():
            raise PurgePlanError
        if not due:
            return []
        jumped = plan_digest is None and self.now - await runs.last_seen(self.now) > GAP_MAX
        run = await runs.begin(due, now=self.now, requested_by=requested_by, waits=jumped)
        self._on_step("planned")
        if jumped:
            raise _clock_jumped(run)
        return [await self._carry_out(run)]

    async def _carry_out(self, run: Run) -> Run:
        steps = {
            PurgeState.PLANNED: self._destroy_keys,
            PurgeState.KEYS_DESTROYED: self._detach,
            PurgeState.DETACHED: self._drop,
            PurgeState.DROPPED: self._verify,
            PurgeState.VERIFIED: self._finish,
        }
        while (step := steps.get(run.state)) is not None:
            try:
                run = await step(run)
            except (PartitionsBusyError, KeyringUnavailableError) as error:
                await runs.note_delay(run, str(error))
                raise
            except DatabaseError as error:  # not as its record says: it must not stop the purges after it
                await self._give_up(run, str(error))
                raise PurgeFailedError(str(error)) from error
            self._on_step(f"recorded {run.state}")
        self._partitions.forget()
        await notify(self._database.owner, "purge")
        return run

    async def _destroy_keys(self, run: Run) -> Run:
        # A record can be old, and the policy another by now: only what is due by both is destroyed.
        run = await self._spare(run)
        names = [PeriodKeyName(*key) for key in run.plan.keys]
        await self._keyring.destroy_periods(names)
        self._on_step("keys destroyed")
        await notify(self._database.owner, "purge")
        return await runs.save(run, expected=run.state, state=PurgeState.KEYS_DESTROYED, keys_destroyed=len(names))

    async def _detach(self, run: Run) -> Run:
        await self._partitions.finalise_leftovers()
        run = await self._spare(run)
        counted = []
        for part in run.plan.partitions:
            await self._partitions.detach(part)
            self._on_step("partition detached")
            counted.append(replace(part, rows_estimate=await self._count(part)))
        plan = replace(run.plan, partitions=tuple(counted))
        return await runs.save(run, expected=run.state, state=PurgeState.DETACHED, plan=plan)

    async def _drop(self, run: Run) -> Run:
        for part in run.plan.partitions:
            await self._partitions.drop(part)
            self._on_step("partition dropped")
        rows = sum(part.rows_estimate for part in run.plan.partitions)
        return await runs.save(run, expected=run.state, state=PurgeState.DROPPED, rows_dropped=rows)

    async def _verify(self, run: Run) -> Run:
        left = [part.name for part in run.plan.partitions if await self._partitions.exists(part)]
        live = {tuple(name) for name in await self._keyring.periods()}
        left += [str(PeriodKeyName(*key)) for key in run.plan.keys if tuple(key) in live]
        if left:
            failure = f"still there after the purge: {', '.join(left)}"
            await runs.save(run, expected=run.state, state=PurgeState.FAILED, finished_at=self.now, failure=failure)
            raise PurgeFailedError(failure)
        self._on_step("verified")
        return await runs.save(run, expected=run.state, state=PurgeState.VERIFIED)

    async def _finish(self, run: Run) -> Run:
        return await runs.save(run, expected=run.state, state=PurgeState.DONE, finished_at=self.now, failure=None)

    async def _give_up(self, run: Run, reason: str) -> None:
        await runs.save(run, expected=run.state, state=PurgeState.FAILED, finished_at=self.now, failure=reason)

    async def _spare(self, run: Run) -> Run:
        """Take out of the plan what is no longer due, as far as it is still whole; the catalogue says what it is."""
        due = plan(self._policy, await _all(self._partitions), run.plan.keys, self.now)
        due_names, whole = {part.name for part in due.partitions}, await self._partitions.attached()
        parts = tuple(part for part in run.plan.partitions if part.name in due_names or part.name not in whole)
        keys = due.keys if run.state is PurgeState.PLANNED else run.plan.keys
        kept = PurgePlan(parts, keys)
        if kept == run.plan:
            return run
        spared = [part.name for part in run.plan.partitions if part not in parts]
        spared += [str(PeriodKeyName(*key)) for key in run.plan.keys if key not in keys]
        return await runs.save(run, expected=run.state, plan=kept, spared=(*run.spared, *spared))

    async def _count(self, part: Partition) -> int:
        """Rows of a detached partition: nothing changes them any more, and nobody waits for this."""
        if not await self._partitions.exists(part):
            return 0
        return await self._database.owner.fetchval(f"SELECT count(*) FROM {quoted(part.name)}")  # noqa: S608 - a name


async def _all(partitions: Partitions) -> list[Partition]:
    return [part for store in Store for part in await partitions.list(store)]


def _clock_jumped(run: Run) -> PurgeClockError:
    return PurgeClockError(
        "more than a day has passed since the last purge: nothing ran, or the clock has jumped. "
        f"If it is {run.planned_at:%Y-%m-%d %H:%M} UTC, the purge goes on by itself an hour from then, "
        f"or at once with `calledger purge --plan {run.digest}`"
    )


@asynccontextmanager
async def _alone(owner: asyncpg.Pool, *, wait: bool) -> AsyncIterator[bool]:
    """Whether this is the only purge of the database, until the block ends.

    It asks again and again instead of queueing: a statement that waits holds a snapshot, for which a detach of the one
    that is at work would wait in turn.
    """
    async with owner.acquire() as connection:
        ours = await connection.fetchval(_TRY_LOCK, _LOCK)
        while wait and not ours:
            await asyncio.sleep(_POLL_S)
            ours = await connection.fetchval(_TRY_LOCK, _LOCK)
        try:
            yield ours
        finally:
            if ours and not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
