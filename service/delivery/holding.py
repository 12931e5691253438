"""Whether this process still has a webhook alone: its lease is short, and prolonged for as long as there is work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import asyncpg

from service.logs import get_logger
from service.storage.control.webhooks import Lease, prolong_lease

LEASE: Final = timedelta(seconds=6)
"""How long a webhook waits for a process that was killed."""
HEARTBEAT_S: Final = 2.0

log = get_logger()


class Holding:
    """A lease that is prolonged while the block lasts. `lease`: as it is now; None when it is another process's."""

    def __init__(self, owner: asyncpg.Pool, lease: Lease) -> None:
        self.lease: Lease | None = lease
        self._owner = owner

    @classmethod
    @asynccontextmanager
    async def of(cls, owner: asyncpg.Pool, lease: Lease) -> AsyncIterator["Holding"]:
        """Hold a webhook during the block."""
        holding = cls(owner, lease)
        heartbeat = asyncio.create_task(holding._heartbeat())
        try:
            yield holding
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)

    async def _heartbeat(self) -> None:
        while self.lease is not None:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                self.lease = await prolong_lease(self._owner, self.lease, LEASE)
            except Exception:  # unless it comes back soon, the lease ends by itself
                log.exception("the lease of a webhook has to be prolonged again")
