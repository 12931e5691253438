"""How every command finds the database: the operator's, the one that runs already, or one started for a while."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from service.storage.cluster import Cluster
from service.storage.embedded import EmbeddedPostgres
from service.storage.errors import DatabaseError, EmbeddedDatabaseBusyError
from service.storage.locks import FileLock

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
# As long as another command may take to start the database that we will share.
START_PATIENCE_S = 60.0


@asynccontextmanager
async def database(*, data: Path, database_url: str | None) -> AsyncIterator[str]:
    """The address of a database that answers, for as long as the context lasts.

    `database_url`, where the operator gives one, else the embedded database under `data`: as it runs, or started here
    and ended afterwards, once the commands that came to share it are done. Raises DatabaseError when there is none.
    """
    if database_url is not None:
        await _check(database_url)
        yield database_url
        return
    async with AsyncExitStack() as stack:
        yield await _borrow_or_start(Cluster(data), stack)


async def _borrow_or_start(cluster: Cluster, stack: AsyncExitStack) -> str:
    deadline = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            return await _borrow(cluster, stack) or await _start(cluster, stack)
        except EmbeddedDatabaseBusyError:
            # Whoever has it is starting it, stopping it, or bringing it back after a crash.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def _borrow(cluster: Cluster, stack: AsyncExitStack) -> str | None:
    """The address of the database that another process runs, which from now on waits for us; None without one."""
    borrowers = _borrowers(cluster)
    try:
        # The file first: without it there may be no folder for the lock.
        if not cluster.url_file.exists() or not borrowers.try_shared():
            return None
        url = cluster.url_file.read_text()
    except FileNotFoundError:
        url = None
    except PermissionError as error:
        raise DatabaseError(f"`{cluster.data}` belongs to another user: run this command as that user") from error
    if url is None or not await _answers(url):
        borrowers.release()
        return None
    stack.callback(borrowers.release)
    return url


async def _start(cluster: Cluster, stack: AsyncExitStack) -> str:
    postgres = EmbeddedPostgres(cluster.data)
    url = await postgres.start(patience_s=0)
    stack.push_async_callback(_stop_unused, postgres)
    return url


async def _stop_unused(postgres: EmbeddedPostgres) -> None:
    """Stop the database once nobody borrows it; no one can begin to while it stops."""
    borrowers = _borrowers(postgres.cluster)
    said = False
    try:
        while not borrowers.try_exclusive():
            if not said:
                log.warning("waiting for another command that uses the database")
                said = True
            await asyncio.sleep(0.05)
    finally:
        await postgres.stop()
        borrowers.release()


def _borrowers(cluster: Cluster) -> FileLock:
    return FileLock(cluster.folder / "borrowers")


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def _check(url: str) -> None:
    """Raise DatabaseError, naming the server and never the password, unless the operator's database answers."""
    try:
        place = _place(url)
    except ValueError:
        raise DatabaseError(
            "CALLEDGER_DATABASE_URL is no address of a PostgreSQL: write `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`"
        ) from None
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise DatabaseError(
            f"the database at `{place}` does not answer ({_reason(error)}): check CALLEDGER_DATABASE_URL, or unset it "
            "to use the embedded database"
        ) from None
    await connection.close()


def _place(url: str) -> str:
    """Where an address leads, without user, password and options. Raises ValueError when it isn't one."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(parts.scheme)
    return f"{parts.hostname or 'a local socket'}:{parts.port or 5432}{parts.path}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:.0f} seconds"
    if isinstance(error, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        return "it refuses this user and password"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return "it has no such database"
    if isinstance(error, OSError):
        return (error.strerror or "cannot be reached").lower()
    return type(error).__name__
