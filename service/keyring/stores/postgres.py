"""The key store in a PostgreSQL of its own: `postgres:URL`. Any number of hosts share it.

A destruction is one transaction, so that a tombstone and the removal of its key are seen together or not at all. Other
processes are notified (NOTIFY); a process that cannot listen stops trusting its memory after `TRUST_S`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service.keyring.errors import (
    KeyringAddressError,
    KeyringDamagedError,
    KeyringError,
    KeyringMissingError,
    KeyringSameClusterError,
    KeyringUnavailableError,
)
from service.keyring.metadata import Metadata
from service.keyring.names import KeyName, parse_name
from service.keyring.stores import postgres_schema as sql
from service.keyring.stores.postgres_listener import UNREACHABLE, NotificationListener
from service.keyring.stores.protocol import PACKED_FORMAT, StaleKekError, is_stale, kek_id_of

CONNECT_S: Final = 5.0
COMMAND_S: Final = 10.0
_CONNECTIONS_MAX: Final = 4
_SCHEMES: Final = ("postgres", "postgresql")
# The server refuses us: this does not pass by itself.
_REFUSALS: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)


def address_of_url(url: str) -> str | None:
    """The address in `postgres:URL`, or in a plain address of a PostgreSQL; None for anything else."""
    rest = url.removeprefix("postgres:") if url.startswith("postgres:postgres") else url
    return rest if urlsplit(rest).scheme in _SCHEMES and "://" in rest else None


async def create_postgres_store(address: str, metadata: Metadata, secrets: Mapping[str, bytes]) -> None:
    """Make a keyring in its own schema, unless another process makes it first. `secrets` are entries by name.

    Raises `KeyringDamagedError` if there are entries without metadata.
    """
    async with _connection(address) as connection, connection.transaction():
        await connection.execute(sql.BEGIN_CREATION, sql.CREATION_LOCK)
        await connection.execute(sql.CREATE)
        if await connection.fetchval(sql.METADATA) is not None:
            return
        if await connection.fetchval(sql.IS_USED):
            raise KeyringDamagedError(
                f"the keyring at {describe_address(address)} has lost its metadata: restore its backup"
            )
        for name, entry in secrets.items():
            await connection.execute(sql.PUT_ENTRY, name, entry)
        await connection.execute(sql.PUT_METADATA, metadata.encode())


async def set_postgres_aside(address: str, suffix: str) -> str | None:
    """Rename the schema of a lost keyring by adding `suffix`. Returns where it is now in words, None if there
    is none.
    """
    aside = f"{sql.SCHEMA}_{suffix}".replace("-", "_")
    async with _connection(address) as connection, connection.transaction():
        await connection.execute(sql.BEGIN_CREATION, sql.CREATION_LOCK)
        if not await connection.fetchval(sql.ANY_SCHEMA):
            return None
        await connection.execute(sql.RENAME.format(aside=aside))
    return f"the schema {aside} of PostgreSQL at {describe_address(address)}"


async def open_postgres_store(address: str, *, apart_from: str | None) -> "PostgresStore":
    """The key store at `address`, which must be another PostgreSQL than the one at `apart_from`.

    Raises `KeyringSameClusterError`, `KeyringMissingError`, `KeyringUnavailableError`, and `KeyringError` when the
    server refuses us.
    """
    async with _connection(address) as connection:
        if apart_from is not None:
            await _refuse_same(connection, address, apart_from)
        if not await connection.fetchval(sql.IS_THERE) or await connection.fetchval(sql.METADATA) is None:
            raise KeyringMissingError(
                f"no keyring is at {describe_address(address)}: set CALLEDGER_KEYRING, or restore its backup"
            )
        # A restored copy may have brought back keys that have a tombstone.
        await connection.execute(sql.REMOVE_BURIED)
    pool = await asyncpg.create_pool(
        address, min_size=0, max_size=_CONNECTIONS_MAX, timeout=CONNECT_S, command_timeout=COMMAND_S
    )
    store = PostgresStore(address, pool, NotificationListener(address))
    await store.listen()
    return store


class PostgresStore:
    """A `KeyStore` in the schema `calledger_keyring`."""

    def __init__(self, address: str, pool: asyncpg.Pool, listener: NotificationListener) -> None:
        self._address = address
        self._pool = pool
        self._listener = listener

    @property
    def location(self) -> str:
        """The server's address without user and password."""
        return f"PostgreSQL at {describe_address(self._address)}"

    async def listen(self) -> None:
        """Begin to listen for destructions by others."""
        await self._listener.start()

    def watch(self, forget: Callable[[], None]) -> None:
        """Have `forget` called at every notification of a destruction, and when one may have been missed."""
        self._listener.on_notification = forget

    async def metadata(self) -> Metadata:
        """The metadata as the table has it now. `KeyringDamagedError` if it is unreadable."""
        async with self._acquired() as connection:
            return self._decode(await connection.fetchval(sql.METADATA))

    async def replace_metadata(self, metadata: Metadata, *, expected: Metadata) -> bool:
        """Replace the metadata in one transaction; False if it is no longer `expected`."""
        async with self._acquired() as connection, connection.transaction():
            if self._decode(await connection.fetchval(sql.METADATA_FOR_UPDATE)) != expected:
                return False
            await connection.execute(sql.SET_METADATA, metadata.encode())
            return True

    async def bind(self, database_id: UUID) -> str:
        """Store the database's id unless one is stored. Returns the one that is."""
        async with self._acquired() as connection:
            await connection.execute(sql.BIND, str(database_id))
            return await connection.fetchval(sql.BOUND)

    def still_there(self, name: KeyName) -> bool:  # noqa: ARG002 - any notification empties the memory
        """Whether a key in memory may still be used: whether notifications were heard within `TRUST_S`."""
        return self._listener.is_listening()

    async def read(self, name: str) -> bytes | None:
        """The entry of that name; None if there is none."""
        async with self._acquired() as connection:
            return await connection.fetchval(sql.ENTRY, name)

    async def is_destroyed(self, name: KeyName) -> bool:
        """Whether there is a tombstone of that name."""
        async with self._acquired() as connection:
            return await connection.fetchval(sql.IS_DESTROYED, str(name))

    async def publish(self, name: KeyName, entry: bytes) -> None:
        """Insert a new entry, unless there is one or a tombstone. `StaleKekError`."""
        async with self._acquired() as connection, connection.transaction():
            if is_stale(name, entry, self._decode(await connection.fetchval(sql.METADATA_FOR_SHARE))):
                raise StaleKekError
            await connection.execute(sql.PUT_ENTRY, str(name), entry)

    async def replace(self, name: str, old: bytes, new: bytes) -> bool:
        """Update the entry from `old` to `new`; False if something else is there by now."""
        async with self._acquired() as connection, connection.transaction():
            await connection.fetchval(sql.METADATA_FOR_SHARE)
            return bool(await connection.fetchval(sql.REPLACE_ENTRY, name, old, new))

    async def put_secret(self, name: str, entry: bytes, *, instead: bytes | None) -> bool:
        """Update the entry of a secret or a pack key from `instead`, or insert it; False if something else is there.

        `StaleKekError`.
        """
        async with self._acquired() as connection, connection.transaction():
            if self._decode(await connection.fetchval(sql.METADATA_FOR_SHARE)).current.id != kek_id_of(entry):
                raise StaleKekError
            if instead is None:
                return bool(await connection.fetchval(sql.ADD_ENTRY, name, entry))
            return bool(await connection.fetchval(sql.REPLACE_ENTRY, name, instead, entry))

    async def destroy(self, names: Sequence[KeyName]) -> int:
        """Insert tombstones and delete entries in one transaction, and notify. Returns how many entries there were."""
        texts = [str(name) for name in names]
        async with self._acquired() as connection:
            async with connection.transaction():
                await connection.fetchval(sql.METADATA_FOR_UPDATE)
                await connection.execute(sql.BURY, texts)
                removed = len(await connection.fetch(sql.REMOVE, texts))
                await connection.execute(sql.ANNOUNCE, sql.CHANNEL)
            if removed:
                # Autovacuum would remove the dead rows later; this is sooner. An old reader may delay it.
                with suppress(asyncpg.PostgresError, TimeoutError):
                    await connection.execute(sql.VACUUM)
        return removed

    async def tombstones(self) -> Mapping[KeyName, bool]:
        """All tombstones in the order of destruction; the value says whether there was a key."""
        async with self._acquired() as connection:
            rows = await connection.fetch(sql.TOMBSTONES)
        return {self._name(row["name"]): row["had_key"] for row in rows}

    async def names(self) -> Iterable[KeyName]:
        """The names of all entries without a tombstone. `KeyringDamagedError` for a name that is no key's."""
        async with self._acquired() as connection:
            return [self._name(row["name"]) for row in await connection.fetch(sql.NAMES)]

    async def directly_wrapped(self) -> Iterable[str]:
        """The names of all entries without a tombstone that no pack key wraps."""
        async with self._acquired() as connection:
            return [row["name"] for row in await connection.fetch(sql.DIRECTLY_WRAPPED, PACKED_FORMAT)]

    async def close(self) -> None:
        """Stop listening and close the connections."""
        await self._listener.stop()
        self._pool.terminate()

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[PoolConnectionProxy]:
        async with _as_unavailable(self._address), self._pool.acquire(timeout=COMMAND_S) as connection:
            yield connection

    def _decode(self, text: str | None) -> Metadata:
        try:
            return Metadata.decode(text or "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise KeyringDamagedError(
                f"the metadata of the keyring at {describe_address(self._address)} is unreadable: "
                "restore it from its backup"
            ) from None

    def _name(self, text: str) -> KeyName:
        try:
            return parse_name(text)
        except ValueError:
            raise KeyringDamagedError(
                f"the keyring in {self.location} holds a name that is no key's: restore it from its backup"
            ) from None


def describe_address(address: str) -> str:
    """Host, port and database of an address in back-ticks, without user, password and options."""
    try:
        parts = urlsplit(address)
        return f"`{parts.hostname or 'a local socket'}:{parts.port or 5432}{parts.path}`"
    except ValueError:
        return "`CALLEDGER_KEYRING`"


@asynccontextmanager
async def _connection(address: str) -> AsyncIterator[asyncpg.Connection]:
    async with _as_unavailable(address):
        try:
            connection = await asyncpg.connect(address, timeout=CONNECT_S, command_timeout=COMMAND_S)
        except ValueError:
            raise KeyringAddressError(
                "CALLEDGER_KEYRING is no address of a PostgreSQL: set it to `postgres:postgresql://...`"
            ) from None
        except _REFUSALS:
            raise KeyringError(
                f"the keyring's PostgreSQL at {describe_address(address)} refuses this user or database"
            ) from None
        try:
            yield connection
        except asyncpg.InsufficientPrivilegeError:
            raise KeyringError(
                f"PostgreSQL at {describe_address(address)} does not let this user keep keys there: "
                "give it a database of its own"
            ) from None
        finally:
            await connection.close(timeout=COMMAND_S)


@asynccontextmanager
async def _as_unavailable(address: str) -> AsyncIterator[None]:
    try:
        yield
    except UNREACHABLE as error:
        raise KeyringUnavailableError(
            f"the keyring's PostgreSQL at {describe_address(address)} cannot be reached now ({type(error).__name__})"
        ) from error


async def _refuse_same(keyring: asyncpg.Connection, address: str, calls_address: str) -> None:
    """Raise `KeyringSameClusterError` if both addresses lead to one cluster.

    A copy of the calls' cluster would hold its keys too, and a replica has the same identifier.
    """
    try:
        calls = await asyncpg.connect(calls_address, timeout=CONNECT_S, command_timeout=COMMAND_S)
    except UNREACHABLE as error:
        raise KeyringUnavailableError(
            f"the calls' PostgreSQL cannot be asked who it is ({type(error).__name__})"
        ) from error
    try:
        for statement in (sql.SYSTEM, sql.STARTED):
            theirs, ours = await _fetch_identifier(keyring, statement), await _fetch_identifier(calls, statement)
            if theirs is not None and theirs == ours:
                raise KeyringSameClusterError(
                    f"the keyring at {describe_address(address)} is in the same PostgreSQL as the calls: a destroyed"
                    " key would live on in its write-ahead log, its dead rows and its backups, beside what it sealed."
                    " Put the keyring into another cluster, or into `file:DIR`"
                )
    finally:
        calls.terminate()


async def _fetch_identifier(connection: asyncpg.Connection, statement: str) -> object | None:
    """The cluster's identifier or start time; None when a provider does not let us read it."""
    try:
        return await connection.fetchval(statement)
    except asyncpg.PostgresError:
        return None
