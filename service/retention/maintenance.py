"""The house's daily work in `serve`: partitions ahead of time, and the purge when something is due."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from policies.model import Policy
from service.errors import CalledgerError
from service.keyring import Keyring
from service.logs import get_logger
from service.retention.purge import run_purge
from service.retention.tombstones import replay_tombstones
from service.storage.database import Database
from service.storage.partitions import Partitions

log = get_logger()

EVERY_S: Final = 3600.0
RETRY_S: Final = 300.0


async def maintain_for_ever(
    database: Database,
    partitions: Partitions,
    keyring: Keyring,
    policy: Callable[[], Policy],
    *,
    every_s: float = EVERY_S,
    retry_s: float = RETRY_S,
) -> None:
    """Work now and then every hour, until cancelled; sooner again after a failure. No error ends it.

    `policy` gives the one in force. Any number of services may run this: partitions are made under one lock, and of
    several purges one does the work.
    """
    await _done("tombstones replayed", lambda: replay_tombstones(keyring))
    while True:
        well = await maintain(database, partitions, keyring, policy())
        # Spread, so that services that were started together do not meet every time.
        await asyncio.sleep((every_s if well else retry_s) * (0.9 + 0.2 * random.random()))  # noqa: S311 - spread


async def maintain(database: Database, partitions: Partitions, keyring: Keyring, policy: Policy) -> bool:
    """One round; whether all of it was done."""

    async def ahead() -> None:
        await partitions.ahead(policy, await database.owner.fetchval("SELECT clock_timestamp()"))

    async def purge() -> None:
        for run in await run_purge(database, partitions, keyring, policy, wait=False):
            log.info(
                "purged",
                run=str(run.id),
                partitions=len(run.plan.partitions),
                rows=run.rows_dropped,
                keys=run.keys_destroyed,
            )

    made = await _done("partitions made ahead", ahead)
    return await _done("purge", purge) and made


async def _done(work: str, run: Callable[[], Awaitable[object]]) -> bool:
    try:
        await run()
    except CalledgerError as error:
        log.warning("maintenance has to be tried again", work=work, reason=str(error))
    except Exception:  # whatever it was: a loop that has ended purges nothing any more
        log.exception("maintenance has failed", work=work)
    else:
        return True
    return False
