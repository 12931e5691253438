"""A streaming replica to read from, which shows what the primary would show, or is not asked.

For each read the primary says how far its log is on disk, and the replica's own connection whether it has replayed as
far. What was erased, revoked or recorded before a read began is so for the read, wherever it is answered. The replica
has a moment to catch up; a read that it is too far behind for is the primary's, and so is every read while the replica
does not answer.

How far a log has been replayed says something only of a log that is the primary's. A standby of another cluster, one
that was left as it was when the primary was restored to an earlier time, or another database of the right standby, is
not asked.
"""

import asyncio
import time
from typing import Final, NamedTuple

import asyncpg
from prometheus_client import Counter

from service.logs import get_logger
from service.storage.connection import Queryable, one_row

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
_WRITTEN: Final = """
    SELECT false AS replays, system_identifier AS cluster,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer AS timeline,
        (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS position
    FROM pg_control_system()
"""
"""How far the primary's log is on disk, and which log it is."""
_REPLAYED: Final = """
    SELECT pg_is_in_recovery() AS replays, cluster.system_identifier AS cluster,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        greatest(checkpoint.timeline_id, recovery.min_recovery_end_timeline) AS timeline,
        coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::bigint AS position
    FROM pg_control_system() AS cluster, pg_control_checkpoint() AS checkpoint, pg_control_recovery() AS recovery
"""
"""How far a standby has replayed a log, and which. It says a new timeline minutes after it has gone over to it."""


class LogPosition(NamedTuple):
    """Where a log is, `position` bytes from its beginning. `replays`: the server replays it, and writes none."""

    replays: bool
    cluster: int
    database: int
    timeline: int
    position: int


class Replica:
    """What one process knows of the replica."""

    def __init__(self, primary: asyncpg.Pool) -> None:
        self._primary = primary
        self._not_before = 0.0
        self._left_alone: str | None = None
        self._furthest: int | None = None
        """How far it was seen to be since it was compared with the primary; None when it has to be compared first."""

    @property
    def is_usable(self) -> bool:
        """Whether it is worth asking."""
        return time.monotonic() >= self._not_before

    async def position(self) -> LogPosition:
        """How far the primary's log is on disk: what a read that begins now has to see."""
        furthest = self._furthest
        async with asyncio.timeout(ANSWER_S):
            written = LogPosition(*await one_row(self._primary, _WRITTEN))
        if furthest is not None and written.position < furthest:
            self._furthest = None  # the primary has been restored: see `difference`
        return written

    async def has_replayed(self, connection: Queryable, primary: LogPosition) -> bool:
        """Whether the replica behind this very connection has replayed as far, in a moment at latest."""
        if self._furthest is None and (different := await self.difference(connection)) is not None:
            self._leave_alone(f"the replica is not asked: {different}")
            return False
        until = time.monotonic() + PATIENCE_S
        while True:
            replica = await self._replayed(connection)
            if (different := _other_log(primary, replica)) is not None:
                self._leave_alone(f"the replica is not asked: {different}")
                return False
            if replica.position >= primary.position:
                break
            if time.monotonic() >= until:
                self._not_before = time.monotonic() + BEHIND_S
                return False
            await asyncio.sleep(_STEP_S)
        self._furthest = max(replica.position, self._furthest or 0)
        if self._left_alone is not None:
            self._left_alone = None
            log.info("the replica answers again")
        return True

    async def difference(self, connection: Queryable) -> str | None:
        """Why the server behind the connection is no replica of the primary, in words; None when it is one."""
        # The primary is asked last: what it has not written by then, its replica cannot have replayed before.
        replica = await self._replayed(connection)
        primary = await self.position()
        if replica.position > primary.position:
            return _other_log(primary, replica) or "it has replayed more than the primary has written"
        return _other_log(primary, replica)

    def failed(self, error: BaseException) -> None:
        """Leave it alone for a while."""
        self._leave_alone("the replica does not answer: the primary is read", error=type(error).__name__)

    async def _replayed(self, connection: Queryable) -> LogPosition:
        return LogPosition(*await one_row(connection, _REPLAYED))

    def _leave_alone(self, reason: str, **facts: str) -> None:
        self._not_before = time.monotonic() + RETRY_S
        self._furthest = None
        if self._left_alone != reason:
            self._left_alone = reason
            log.warning(reason, **facts)


def _other_log(primary: LogPosition, replica: LogPosition) -> str | None:
    """In words, why a position is none in the primary's log, whatever its position."""
    if replica.cluster != primary.cluster:
        return "it is of another cluster"
    if replica.database != primary.database:
        return "it is another database"
    if not replica.replays:
        return "it is not in recovery"
    if replica.timeline != primary.timeline:
        return f"it is on timeline {replica.timeline}, and the primary on {primary.timeline}"
    return None
