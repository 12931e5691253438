"""Connections for reading, of the primary's pools and of the replica's."""

import asyncio
from collections import deque
from typing import ClassVar, Final, NamedTuple, Protocol

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service.storage.connection import Connection
from service.storage.errors import is_unavailable
from service.storage.shared.replica import ANSWER_S, READS, Replica


class Readers:
    """Connections of one pool for reading. They are kept at hand between requests, each for the accounts that it sees:
    a pool's own lending costs a task and a lock each time, another scope a round trip. Where all are lent, whoever has
    waited longest is handed the next one that comes back.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._idle: list[tuple[tuple[int, ...] | None, PoolConnectionProxy]] = []
        self._waiting: deque[asyncio.Future[PoolConnectionProxy | None]] = deque()
        self._taken = 0  # of the pool's places: by connections that are idle here or lent, or are being opened

    def at_hand(self, accounts: tuple[int, ...] | None) -> PoolConnectionProxy | None:
        """The connection that was given back last, if it sees just these accounts."""
        if self._idle and self._idle[-1][0] == accounts:
            return self._pop_idle()
        return None

    async def take(self, accounts: tuple[int, ...] | None) -> PoolConnectionProxy:
        """Any connection, made to see these accounts (None: what its role sees)."""
        connection = await self._any(accounts)
        if accounts is not None:
            try:
                # The proxy hands this on to our ScopedConnection.
                await connection.see_only(accounts)  # pyright: ignore[reportAttributeAccessIssue]
            except BaseException:
                await self.give_back(connection)
                raise
        return connection

    async def _any(self, accounts: tuple[int, ...] | None) -> PoolConnectionProxy:
        self._idle.sort(key=lambda idle: idle[0] == accounts)
        while self._idle:
            connection = self._pop_idle()
            if connection is not None:
                return connection
        if self._taken < self._pool.get_max_size():
            self._taken += 1
        else:
            connection = await self._handed()
            if connection is not None:
                return connection
        try:
            return await self._pool.acquire()
        except BaseException:
            self._leave()
            raise

    async def _handed(self) -> PoolConnectionProxy | None:
        """A connection that comes back, or None for the place of one that does not."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled():  # it was handed one at the same moment
                connection = waiting.result()
                if connection is None:
                    self._leave()
                else:
                    self.keep(connection, None)
            raise

    def keep(self, connection: PoolConnectionProxy, accounts: tuple[int, ...] | None) -> None:
        """Hand it to who waits, or keep it at hand, as one that sees these accounts."""
        if not self._waiting:
            self._idle.append((accounts, connection))  # whether it has ended is looked at when it is wanted
        elif not _alive(connection):
            self._leave()
        elif not self._hand(connection):
            self._idle.append((accounts, connection))

    async def give_back(self, connection: PoolConnectionProxy) -> None:
        """Have the pool look after it: something failed on it."""
        try:
            await self._pool.release(connection)
        finally:
            self._leave()

    async def close(self) -> None:
        """Close the idle connections and the pool."""
        while self._idle:
            await self._pool.release(self._idle.pop()[1])
        await self._pool.close()

    def _pop_idle(self) -> PoolConnectionProxy | None:
        """The connection that was given back last, unless it has ended meanwhile."""
        connection = self._idle.pop()[1]
        if _alive(connection):
            return connection
        self._leave()
        return None

    def _leave(self) -> None:
        """Give a place of the pool to who waits, or back."""
        if not self._hand(None):
            self._taken -= 1

    def _hand(self, connection: PoolConnectionProxy | None) -> bool:
        """Whether somebody waited for it."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return True
        return False


class ReplicaReaders(NamedTuple):
    """The replica, and connections to it for reading as a scope's role or as one that sees all."""

    replica: Replica
    asked: asyncpg.Pool
    scoped: Readers
    unscoped: Readers

    async def describe(self) -> str:
        """Whether the replica is asked, and else why not, in words."""
        try:
            async with asyncio.timeout(ANSWER_S):
                connection = await self.unscoped.take(None)
                try:
                    different = await self.replica.difference(connection)
                finally:
                    await self.unscoped.give_back(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return f"NOT ASKED: it does not answer ({type(error).__name__})"
        return "answers queries" if different is None else f"NOT ASKED: {different}"

    async def close(self) -> None:
        """Close the connections."""
        for pool in (self.scoped, self.unscoped, self.asked):
            await pool.close()


class ConnectionSource(Protocol):
    """What a lease is taken of: connections whose role is kept to a scope's accounts, and such whose role sees all."""

    scoped: Readers
    unscoped: Readers
    replica: ReplicaReaders | None

    def share_of(self, key_id: str) -> asyncio.Semaphore:
        """The connections that an API key may have at a time for long statements."""
        ...


# What ends a read of a replica: it has gone, or replays what removes rows that the read still needs (SQLSTATE 40001).
_CUT_OFF: Final = (asyncpg.SerializationError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


class ReadLease:
    """A context: a connection for reading, which sees `accounts` only (None: what its role sees). With `key_id` it is
    of the share of that API key, and may be one to the replica.
    """

    __slots__ = ("_accounts", "_connection", "_readers", "_replica", "_share")
    _ANYWHERE: ClassVar[bool] = False
    """Whether it may be one to the replica in any case."""

    def __init__(self, database: ConnectionSource, accounts: tuple[int, ...] | None, key_id: str | None = None) -> None:
        self._readers = database.unscoped if accounts is None else database.scoped
        self._replica = database.replica if self._ANYWHERE or key_id is not None else None
        self._accounts = accounts
        self._share = None if key_id is None else database.share_of(key_id)

    async def __aenter__(self) -> Connection:
        if self._share is not None:
            await self._share.acquire()
        connection = self._readers.at_hand(self._accounts) if self._replica is None else None
        if connection is None:
            try:
                connection = await self._any()
            except BaseException:
                self._return_share()
                raise
        self._connection = connection
        return connection

    async def _any(self) -> PoolConnectionProxy:
        """A connection to the replica where it may answer, and else to the primary."""
        if self._replica is not None:
            primary, readers = self._readers, self._replica
            self._readers = readers.unscoped if self._accounts is None else readers.scoped
            connection = await self._of_replica(readers.replica)
            READS.labels("primary" if connection is None else "replica").inc()
            if connection is not None:
                return connection
            self._readers, self._replica = primary, None
            if (connection := primary.at_hand(self._accounts)) is not None:
                return connection
        return await self._readers.take(self._accounts)

    async def _of_replica(self, replica: Replica) -> PoolConnectionProxy | None:
        """A connection to the replica that has replayed what the primary had on disk when it was asked for."""
        if not replica.is_usable:
            return None
        connection = None
        try:
            position = await replica.position()
            async with asyncio.timeout(ANSWER_S):
                connection = self._readers.at_hand(self._accounts) or await self._readers.take(self._accounts)
                if await replica.has_replayed(connection, position):
                    return connection
        except BaseException as error:
            if connection is not None:
                await self._readers.give_back(connection)
            if not is_unavailable(error) and not isinstance(error, asyncpg.PostgresError):
                raise
            replica.failed(error)
            return None
        self._readers.keep(connection, self._accounts)
        return None

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._return_share()
        if self._replica is not None and isinstance(error, _CUT_OFF):
            self._replica.replica.failed(error)
        if kind is None:
            self._readers.keep(self._connection, self._accounts)
        else:
            await self._readers.give_back(self._connection)
            self._failed_by(error)

    def _failed_by(self, error: BaseException | None) -> None:
        """May raise another error instead."""

    def _return_share(self) -> None:
        if self._share is not None:
            self._share.release()


def _alive(connection: PoolConnectionProxy) -> bool:
    """Whether it can be used; one that the server ended has left the pool by itself."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False
