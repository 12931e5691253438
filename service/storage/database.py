"""Connections to PostgreSQL, one pool per role.

- `owner` migrates, maintains partitions and compacts usage deltas; it acts as the user of the address
- `writer` inserts admitted calls; it has the role `calledger_app_all` and binary codecs, for COPY
- `reading()` serves queries; for keys that are bound to accounts it has the role `calledger_app` under row-level
  security, for other keys the role `calledger_app_all`; text codecs keep numbers exact
"""

import asyncio
import os
from collections import deque
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from tortoise.context import TortoiseContext, get_current_context

from service.storage.connection import Connection
from service.storage.errors import DatabaseError
from service.storage.schema import row_security
from service.storage.schema.row_security import SCOPED_ROLE, UNSCOPED_ROLE
from service.storage.schema.tortoise import tortoise_config

_USABLE_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND pg_has_role(current_user, oid, $2)"
"""Which of the two reading roles this user may use."""
_BYPASSES = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
"""Whether row-level security does not bind this user."""

_SHARES: Final = 4
_PROCESSORS_A_STATEMENT: Final = 2


def share_of_a_key(connections: int, processors: int) -> int:
    """How many long statements one API key may have running at a time: a quarter of the connections, and one for every
    two processors, so that others' ingest finds one that is free. One at least.
    """
    return max(1, min(connections // _SHARES, processors // _PROCESSORS_A_STATEMENT))


def uuid_of(value: UUID | str) -> UUID:
    """The UUID in a row, which connections for reading return as text."""
    return value if isinstance(value, UUID) else UUID(value)


class ScopedConnection(asyncpg.Connection):
    """A connection that remembers which accounts' rows it may see."""

    __slots__ = ("_accounts",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to asyncpg
        super().__init__(*args, **kwargs)
        self._accounts: tuple[int, ...] | None = None

    async def see_only(self, accounts: tuple[int, ...]) -> None:
        """Set row-level security to `accounts`; a round trip only when they differ from the last ones."""
        if accounts != self._accounts:
            self._accounts = None
            await self.execute(
                "SELECT set_config('calledger.accounts', $1, false)", f"{{{','.join(map(str, accounts))}}}"
            )
            self._accounts = accounts


async def _no_reset(_: object) -> None:
    """Do nothing: connections keep no state between requests but the scope, which is set anew."""


async def _text_codecs(connection: Connection) -> None:
    for name in ("numeric", "uuid"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text")


class Database:
    """The pools, and in words what this server lacks of row-level security (`missing_protections`)."""

    def __init__(
        self, url: str, owner: asyncpg.Pool, writer: asyncpg.Pool, scoped: asyncpg.Pool, unscoped: asyncpg.Pool
    ) -> None:
        self.url = url
        self.owner = owner
        self.writer = writer
        self.missing_protections: tuple[str, ...] = ()
        self._scoped = Readers(scoped)
        self._unscoped = Readers(unscoped)
        self._share = share_of_a_key(scoped.get_max_size(), os.cpu_count() or 1)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._control = TortoiseContext()

    @classmethod
    async def open(cls, url: str, *, read_connections: int = 8, statement_timeout_ms: int = 15_000) -> "Database":
        """Open pools on a migrated database. Raises DatabaseError when it does not answer."""
        roles = await _usable_roles(url)
        read = {
            "max_size": read_connections,
            "connection_class": ScopedConnection,
            "init": _text_codecs,
            "statement_timeout_ms": statement_timeout_ms,
        }
        database = cls(
            url,
            await _pool(url, None, max_size=3),
            await _pool(url, UNSCOPED_ROLE if UNSCOPED_ROLE in roles else None, max_size=3),
            await _pool(url, SCOPED_ROLE if SCOPED_ROLE in roles else None, **read),
            await _pool(url, UNSCOPED_ROLE if UNSCOPED_ROLE in roles else None, **read),
        )
        await database._open_control_tables(UNSCOPED_ROLE if UNSCOPED_ROLE in roles else None)
        database.missing_protections = await _missing_protections(database.owner, roles)
        return database

    async def _open_control_tables(self, role: str | None) -> None:
        # Request handlers run in tasks of their own, which find the models' connections by the global fallback. There
        # is one fallback per process; a second Database in it (two writers in one test) shares the first one's.
        alone = get_current_context() is None
        with self._control:
            await self._control.init(config=tortoise_config(self.url, role=role), _enable_global_fallback=alone)

    async def answers(self, *, within_s: float) -> None:
        """Return when the database has answered; otherwise raise the driver's error."""
        await self.owner.fetchval("SELECT 1", timeout=within_s)

    async def close(self) -> None:
        """Close all pools and the connections of the control tables."""
        await self._control.close_connections()
        for pool in (self._scoped, self._unscoped, self.writer, self.owner):
            await pool.close()

    def reading(self, accounts: tuple[int, ...] | None, *, key_id: str | None = None) -> "ReadLease":
        """A context with a connection on which PostgreSQL shows only rows of `accounts`; None sees every account.

        `key_id`: for statements that may take long. An API key has its share of the connections for them at a time:
        with all of them, one operation of many aliases would take the processor from everybody's ingest and pages.
        """
        return ReadLease(self, accounts, key_id)

    def share_of(self, key_id: str) -> asyncio.Semaphore:
        """The connections that an API key may have at a time for long statements."""
        share = self._shares.get(key_id)
        if share is None:
            share = self._shares[key_id] = asyncio.Semaphore(self._share)
        return share

    def readers(self, accounts: tuple[int, ...] | None) -> "Readers":
        """Connections whose role is kept to a scope's accounts, or sees all."""
        return self._unscoped if accounts is None else self._scoped


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


def _alive(connection: PoolConnectionProxy) -> bool:
    """Whether it can be used; one that the server ended has left the pool by itself."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False


class ReadLease:
    """A context: a connection for reading, which sees `accounts` only (None: what its role sees). With `key_id` it is
    of the share of that API key.
    """

    __slots__ = ("_accounts", "_connection", "_readers", "_share")

    def __init__(self, database: Database, accounts: tuple[int, ...] | None, key_id: str | None = None) -> None:
        self._readers = database.readers(accounts)
        self._accounts = accounts
        self._share = None if key_id is None else database.share_of(key_id)

    async def __aenter__(self) -> Connection:
        if self._share is not None:
            await self._share.acquire()
        connection = self._readers.at_hand(self._accounts)
        if connection is None:
            try:
                connection = await self._readers.take(self._accounts)
            except BaseException:
                self._return_share()
                raise
        self._connection = connection
        return connection

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._return_share()
        if kind is None:
            self._readers.keep(self._connection, self._accounts)
        else:
            await self._readers.give_back(self._connection)

    def _return_share(self) -> None:
        if self._share is not None:
            self._share.release()


async def _usable_roles(url: str) -> frozenset[str]:
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"the database does not answer ({type(error).__name__})") from error
    try:
        # Since PostgreSQL 16 a member of a role may lack the right to become it (SET).
        becoming = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
        rows = await connection.fetch(_USABLE_ROLES, [SCOPED_ROLE, UNSCOPED_ROLE], becoming)
        return frozenset(row["rolname"] for row in rows)
    finally:
        await connection.close()


async def _pool(
    url: str,
    role: str | None,
    *,
    statement_timeout_ms: int | None = None,
    **options: Any,  # noqa: ANN401 - asyncpg's
) -> asyncpg.Pool:
    server_settings = {"application_name": "calledger", "timezone": "UTC", "datestyle": "ISO", "jit": "off"}
    if role is not None:
        server_settings["role"] = role
    if statement_timeout_ms is not None:
        # Parallel workers pay only for the longest scans, and other requests need the processor meanwhile.
        server_settings |= {"statement_timeout": str(statement_timeout_ms), "parallel_setup_cost": "10000"}
    return await asyncpg.create_pool(url, min_size=0, reset=_no_reset, server_settings=server_settings, **options)


async def _missing_protections(owner: asyncpg.Pool, roles: frozenset[str]) -> tuple[str, ...]:
    missing = []
    prepare = "prepare it as docs/operating.md says, and run `calledger migrate`"
    if SCOPED_ROLE not in roles:
        missing.append(
            f"the role `{SCOPED_ROLE}` is not usable: row-level security does not guard queries, and what keeps "
            f"a key to its accounts is the service alone; {prepare}"
        )
    if UNSCOPED_ROLE not in roles:
        missing.append(
            f"the role `{UNSCOPED_ROLE}` is not usable: the service acts as the owner of the tables, and PostgreSQL "
            f"does not keep it from changing or deleting what is recorded; {prepare}"
        )
    async with owner.acquire() as connection:
        if await connection.fetchval(_BYPASSES):
            missing.append("the database's owner is a superuser or bypasses row-level security")
        gaps = await row_security.gaps(connection)
    return (*missing, *(f"{gap.description}: `calledger migrate` puts it right" for gap in gaps))
