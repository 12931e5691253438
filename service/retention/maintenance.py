"""The hourly work of `serve`: it makes partitions ahead of time, carries out holds and erasures, purges what is due,
and packs past indexes.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakKeyDictionary

from policies import Store
from policies.retention import cutoff
from service.errors import CalledgerError
from service.logs import get_logger
from service.retention.account_names import record_accounts
from service.retention.audit.key_record import record_keys
from service.retention.cold.rewrite import keep_cold
from service.retention.context import RetentionContext
from service.retention.erasure.erasure import carry_out_erasures
from service.retention.holds.holds import lift_expired, release_lifted
from service.retention.purge.runner import run_purge
from service.retention.replay import replay_tombstones
from service.retention.rollups.tag_keys import forget_unlisted
from service.retention.rollups.unsummed import leave_unsummed
from service.retention.withdrawal import remove_withdrawn
from service.storage.control.idempotency_keys import forget_requests
from service.storage.control.refusals import forget_refusals
from service.storage.database import Database
from service.storage.gateways.import_checkpoints import forget_checkpoints
from service.storage.gateways.reconciliations import forget_reconciliations
from service.storage.packing import pack
from service.storage.shared.election import older_service_runs
from service.storage.shared.key_spending import forget_spending
from service.tasks import set_within

log = get_logger()

EVERY_S: Final = 3600.0
RETRY_S: Final = 300.0
WARN_EVERY_S: Final = 60.0
_WARNED: Final[WeakKeyDictionary[Database, dict[tuple[str, str], float]]] = WeakKeyDictionary()


async def maintain_for_ever(
    context: RetentionContext, *, wake: asyncio.Event | None = None, every_s: float = EVERY_S, retry_s: float = RETRY_S
) -> None:
    """Work now, then every hour and whenever `wake` is set, until cancelled; sooner again after a failure.

    No error ends it. Any number of services may run this: partitions are made under one lock, and of several purges one
    does the work.
    """
    wake = wake or asyncio.Event()
    while True:
        wake.clear()
        well = await maintain(context)
        # Random, so that services that were started together do not work at the same time every hour.
        pause_s = (every_s if well else retry_s) * (0.9 + 0.2 * random.random())  # noqa: S311 - spread
        await set_within(wake, pause_s)


async def maintain(context: RetentionContext) -> bool:
    """Do one round of maintenance; whether all of it succeeded."""

    async def ahead() -> None:
        """Make the partitions of the next days."""
        await context.partitions.make_ahead(context.policy(), await context.owner.fetchval("SELECT clock_timestamp()"))

    async def holds() -> None:
        """Lift expired holds, and delete the copies of lifted ones."""
        await lift_expired(context)
        await release_lifted(context)

    async def purge() -> None:
        """Purge what is due, and log each purge."""
        for run in await run_purge(context, wait=False):
            log.info(
                "purged",
                run=str(run.id),
                partitions=len(run.plan.partitions),
                rows=run.rows_dropped,
                held=run.rows_held_back,
                keys=run.keys_destroyed,
            )

    async def packing() -> None:
        """Pack indexes of past partitions, and log each."""
        for index in await pack(
            context.owner, context.partitions, await context.owner.fetchval("SELECT clock_timestamp()")
        ):
            log.info("an index was packed", index=index)

    async def comparisons() -> None:
        """Forget comparisons whose calls may be purged by now."""
        now, policy = await context.owner.fetchval("SELECT clock_timestamp()"), context.policy()
        until = [
            max(cutoff(policy, tier.number, store, now) for tier in policy.tiers.values()).date()
            for store in (Store.CALL, Store.USAGE_DAY)
        ]
        await forget_reconciliations(context.owner, *until)

    work = {
        "tombstones replayed": lambda: replay_tombstones(context.owner, context.keyring, context.ledger),
        "partitions made ahead": ahead,
        "holds": holds,
        "erasures": lambda: carry_out_erasures(context),
        "purge": purge,
        "fields removed": lambda: remove_withdrawn(context),
        "sums of tags removed": lambda: forget_unlisted(context),
        "sums that are too many removed": lambda: leave_unsummed(context),
        "indexes packed": packing,
        "calls moved to files": lambda: keep_cold(context),
        "keys packed": lambda: _pack_keys(context),
        "keys on record": lambda: record_keys(context),
        "accounts on record": lambda: record_accounts(context),
        "refusals forgotten": lambda: forget_refusals(context.owner),
        "repeated requests forgotten": lambda: forget_requests(context.owner),
        "spending forgotten": lambda: forget_spending(context.owner),
        "imports forgotten": lambda: forget_checkpoints(context.owner),
        "comparisons forgotten": comparisons,
    }
    # All of them run, even if one fails.
    return all([await _done(context, name, run) for name, run in work.items()])


async def _pack_keys(context: RetentionContext) -> None:
    """Pack the keys that an earlier version stored one by one, once no such service runs any more."""
    if await older_service_runs(context.owner):
        log.info("keys are packed when the last older service has ended")
    elif packed := await context.keyring.pack():
        log.info("keys were packed", keys=packed)


async def _done(context: RetentionContext, work: str, run: Callable[[], Awaitable[object]]) -> bool:
    try:
        await run()
    except CalledgerError as error:
        _warn(context, work, error)
    except Exception:  # the loop must go on, or nothing would be purged any more
        log.exception("maintenance has failed", work=work)
    else:
        return True
    return False


def _warn(context: RetentionContext, work: str, error: CalledgerError) -> None:
    """Say once a minute at most why work has to be tried again: a round can follow the other within a second."""
    now, warning = time.monotonic(), (work, type(error).__name__)
    warned = _WARNED.setdefault(context.database, {})
    if warned.get(warning, -WARN_EVERY_S) <= now - WARN_EVERY_S:
        warned[warning] = now
        log.warning("maintenance has to be tried again", work=work, reason=str(error))
