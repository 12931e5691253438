"""Connections to PostgreSQL, one pool per role.

- `owner` migrates, maintains partitions and compacts usage deltas; it acts as the user of the address
- `writer` inserts admitted calls; it has the role `calledger_app_all` and binary codecs, for COPY
- `spending` settles what API keys spend, so that no long statement keeps that waiting; it has the same role
- `reading()` serves queries; for keys that are bound to accounts it has the role `calledger_app` under row-level
  security, for other keys the role `calledger_app_all`; text codecs keep numbers exact
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg
from tortoise.context import TortoiseContext, get_current_context

from service.storage.citus.distribution import refuse_half_moved, refuse_unsummed
from service.storage.citus.engine import CITUS, POSTGRESQL, Engine, engine_of
from service.storage.citus.proof import missing_proof
from service.storage.citus.workers import HAS_MAILBOX, Workers
from service.storage.cold.tier import ColdTier
from service.storage.connection import Connection
from service.storage.errors import DatabaseError
from service.storage.readers import Readers, ReadLease, ReplicaReaders
from service.storage.schema import row_security
from service.storage.schema.row_security import SCOPED_ROLE, UNSCOPED_ROLE
from service.storage.schema.tortoise import tortoise_config
from service.storage.shared.replica import Replica

_USABLE_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[]) AND pg_has_role(current_user, oid, $2)"
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


async def _no_reset(_: object) -> None:
    """Do nothing: connections keep no state between requests but the scope, which is set anew."""


async def _text_codecs(connection: Connection) -> None:
    for name in ("numeric", "uuid"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text")


class Database:
    """The pools, and in words what this server lacks of row-level security (`missing_protections`)."""

    def __init__(
        self,
        url: str,
        owner: asyncpg.Pool,
        writer: asyncpg.Pool,
        spending: asyncpg.Pool,
        scoped: asyncpg.Pool,
        unscoped: asyncpg.Pool,
    ) -> None:
        self.url = url
        self.owner = owner
        self.writer = writer
        self.spending = spending
        self.engine = POSTGRESQL
        self.missing_protections: tuple[str, ...] = ()
        self.cold: ColdTier | None = None
        """The files of calls, where the process has any."""
        self._worker_settings: dict[str, str] | None = None
        self.scoped = Readers(scoped)
        self.unscoped = Readers(unscoped)
        self.replica: ReplicaReaders | None = None
        self._share = share_of_a_key(scoped.get_max_size(), os.cpu_count() or 1)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._control = TortoiseContext()

    @classmethod
    async def open(
        cls, url: str, *, replica_url: str | None = None, read_connections: int = 8, statement_timeout_ms: int = 15_000
    ) -> "Database":
        """Open pools on a migrated database, and on its replica.

        Raises DatabaseError when it does not answer, and when a part of it is on the workers of a cluster.
        """
        roles, engine = await _surveyed(url)
        writing_role = UNSCOPED_ROLE if UNSCOPED_ROLE in roles else None
        read = {
            "max_size": read_connections,
            "connection_class": engine.scoped,
            "init": _text_codecs,
            "statement_timeout_ms": statement_timeout_ms,
        }
        database = cls(
            url,
            await _pool(url, engine, None, max_size=3),
            await _pool(url, engine, writing_role, max_size=3),
            await _pool(url, engine, writing_role, max_size=1),
            await _pool(url, engine, SCOPED_ROLE if SCOPED_ROLE in roles else None, **read),
            await _pool(url, engine, writing_role, **read),
        )
        database.engine = engine
        if engine is CITUS and await database.owner.fetchval(HAS_MAILBOX):
            database._worker_settings = _settings(engine, writing_role)
        if replica_url is not None:
            scoped = await _pool(replica_url, engine, SCOPED_ROLE if SCOPED_ROLE in roles else None, **read)
            unscoped = await _pool(replica_url, engine, writing_role, **read)
            asked = await _pool(url, engine, None, max_size=2)
            database.replica = ReplicaReaders(Replica(asked), asked, Readers(scoped), Readers(unscoped))
        await database._open_control_tables(writing_role)
        database.missing_protections = await _missing_protections(database.owner, roles)
        unproved = await missing_proof(database.owner, database.reading, engine)
        database.missing_protections += () if unproved is None else (unproved,)
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
        if self.cold is not None:
            self.cold.close()
        await self._control.close_connections()
        if self.replica is not None:
            await self.replica.close()
        for pool in (self.scoped, self.unscoped, self.spending, self.writer, self.owner):
            await pool.close()

    def reading(self, accounts: tuple[int, ...] | None, *, key_id: str | None = None) -> ReadLease:
        """A context with a connection on which PostgreSQL shows only rows of `accounts`; None sees every account.

        `key_id`: for statements that may take long. An API key has its share of the connections for them at a time:
        with all of them, one operation of many aliases would take the processor from everybody's ingest and pages.
        """
        return ReadLease(self, accounts, key_id)

    def workers_for_writing(self, prepare: Callable[[Connection], Awaitable[None]]) -> Workers | None:
        """A writer's connections to the workers of a cluster; None where there is none to write to."""
        return None if self._worker_settings is None else Workers(self.url, self._worker_settings, prepare)

    def share_of(self, key_id: str) -> asyncio.Semaphore:
        """The connections that an API key may have at a time for long statements."""
        share = self._shares.get(key_id)
        if share is None:
            share = self._shares[key_id] = asyncio.Semaphore(self._share)
        return share


async def _surveyed(url: str) -> tuple[frozenset[str], Engine]:
    """Which of our roles are usable there, and what the server wants. DatabaseError where it is distributed in part."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"the database does not answer ({type(error).__name__})") from error
    try:
        # Since PostgreSQL 16 a member of a role may lack the right to become it (SET).
        becoming = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
        rows = await connection.fetch(_USABLE_ROLES, [SCOPED_ROLE, UNSCOPED_ROLE], becoming)
        engine = await engine_of(connection)
        if engine is CITUS:
            await refuse_half_moved(connection)
            await refuse_unsummed(connection)
        return frozenset(row["rolname"] for row in rows), engine
    finally:
        await connection.close()


async def _pool(
    url: str,
    engine: Engine,
    role: str | None,
    *,
    statement_timeout_ms: int | None = None,
    **options: Any,  # noqa: ANN401 - asyncpg's
) -> asyncpg.Pool:
    server_settings = _settings(engine, role)
    options = {"connection_class": engine.plain, **options}
    if statement_timeout_ms is not None:
        # Parallel workers pay only for the longest scans, and other requests need the processor meanwhile.
        server_settings |= {"statement_timeout": str(statement_timeout_ms), "parallel_setup_cost": "10000"}
    return await asyncpg.create_pool(url, min_size=0, reset=_no_reset, server_settings=server_settings, **options)


def _settings(engine: Engine, role: str | None) -> dict[str, str]:
    """The settings of each connection that acts as `role`."""
    settings = {"application_name": "calledger", "timezone": "UTC", "datestyle": "ISO", "jit": "off", **engine.settings}
    return settings if role is None else {**settings, "role": role}


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
