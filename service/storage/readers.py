"""Connections for reading, of the primary's pools and of the replica's."""

import asyncio
from collections import deque
from typing import NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service.storage.shared.replica import Replica


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
        if not _alive(connection):
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

    async def close(self) -> None:
        """Close the connections."""
        for pool in (self.scoped, self.unscoped, self.asked):
            await pool.close()


def _alive(connection: PoolConnectionProxy) -> bool:
    """Whether it can be used; one that the server ended has left the pool by itself."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False
