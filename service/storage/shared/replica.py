"""A streaming replica to read from, which shows what the primary would show, or is not asked.

For each read the primary says how far its log is on disk, and the replica's own connection whether it has replayed as
far. What was erased, revoked or recorded before a read began is so for the read, wherever it is answered. The replica
has a moment to catch up; a read that it is too far behind for is the primary's, and so is every read while the replica
does not answer.
"""

import asyncio
import time
from typing import Final

import asyncpg
from prometheus_client import Counter

from service.logs import get_logger
from service.storage.connection import Queryable

log = get_logger()

PATIENCE_S: Final = 0.1
"""For so long a read waits for the replica to catch up."""
BEHIND_S: Final = 0.5
"""After it was too far behind, it is not waited for again for so long."""
RETRY_S: Final = 5.0
"""After it did not answer, it is not asked again for so long."""
ANSWER_S: Final = 1.0
_STEP_S: Final = 0.002

READS: Final = Counter("calledger_replica_reads", "Reads by who answered them, where there is a replica", ["by"])

# What a transaction that others see has written is on disk, for the service commits synchronously.
_POSITION: Final = "SELECT pg_current_wal_flush_lsn()::text"
_HAS_REPLAYED: Final = "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
"""False behind that position; null or false on a server that is no replica any more."""


class Replica:
    """What one process knows of the replica."""

    def __init__(self, primary: asyncpg.Pool) -> None:
        self._primary = primary
        self._not_before = 0.0
        self._is_gone = False

    @property
    def is_usable(self) -> bool:
        """Whether it is worth asking."""
        return time.monotonic() >= self._not_before

    async def position(self) -> str:
        """How far the primary's log is on disk: what a read that begins now has to see."""
        return await self._primary.fetchval(_POSITION, timeout=ANSWER_S)

    async def has_replayed(self, connection: Queryable, position: str) -> bool:
        """Whether the replica behind this very connection has replayed as far, in a moment at latest."""
        until = time.monotonic() + PATIENCE_S
        while not await connection.fetchval(_HAS_REPLAYED, position, timeout=ANSWER_S):
            if time.monotonic() >= until:
                self._not_before = time.monotonic() + BEHIND_S
                return False
            await asyncio.sleep(_STEP_S)
        if self._is_gone:
            self._is_gone = False
            log.info("the replica answers again")
        return True

    def failed(self, error: BaseException) -> None:
        """Leave it alone for a while."""
        self._not_before = time.monotonic() + RETRY_S
        if not self._is_gone:
            self._is_gone = True
            log.warning("the replica does not answer: the primary is read", error=type(error).__name__)
