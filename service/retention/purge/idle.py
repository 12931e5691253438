"""Purges that find nothing due: one record for those in a row, and an entry of the ledger about once a day.

The statement of `calledger attest` says when the last purge ended. A row of the database is no evidence of that, for
whoever has the database can write it.
"""

from datetime import datetime

from policies.evidence import LedgerKind, moment
from policies.retention import PurgePlan
from service.retention.clock_guard import WAIT
from service.retention.context import RetentionContext
from service.retention.purge_runs import IDLE_ENTRY_EVERY, IdlePurges, PurgeState, Run, Runs
from service.storage.connection import Connection


async def note_nothing_due(context: RetentionContext, now: datetime, requested_by: str) -> None:
    """Record that nothing is due; after a jump of the clock so that the time is trusted an hour later."""
    runs = Runs(context.owner)
    if not await runs.clock_is_untrusted(now):
        async with context.owner.acquire() as connection, connection.transaction():
            idle = await Runs(connection).note_nothing_due(now, requested_by=requested_by)
            if idle.recorded_at is None or idle.recorded_at <= now - IDLE_ENTRY_EVERY:
                await _append(context, connection, idle, now)
    elif not any(run.waits and not run.plan for run in await runs.unfinished()):
        await runs.begin(PurgePlan(), now=now, requested_by=requested_by, waits=True)


async def settle_idle(context: RetentionContext, now: datetime, run: Run) -> None:
    """End a record that nothing was due at an untrusted time: an hour later that time is trusted."""
    runs = Runs(context.owner)
    if now < run.planned_at:
        failure = "the clock had jumped and went back"
        await runs.save(run, expected=run.state, state=PurgeState.FAILED, finished_at=now, failure=failure)
    elif now >= run.planned_at + WAIT:
        async with context.owner.acquire() as connection, connection.transaction():
            await runs.save(
                run, expected=run.state, connection=connection, state=PurgeState.DONE, finished_at=run.planned_at
            )
            idle = IdlePurges(run.id, run.digest, run.planned_at, run.requested_by, None)
            await _append(context, connection, idle, run.planned_at)


async def _append(context: RetentionContext, connection: Connection, idle: IdlePurges, until: datetime) -> None:
    facts = {
        "run": str(idle.id),
        "plan": idle.digest,
        "planned_at": moment(idle.planned_at),
        "finished_at": moment(until),
    }
    index = await context.ledger.append(LedgerKind.NOTHING_DUE, facts, actor=idle.requested_by, connection=connection)
    await Runs(connection).note_entry(idle.id, index)
