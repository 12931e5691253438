"""How every command finds the database: the operator's, the one that runs already, or one started for a while."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from service.logs import get_logger
from service.storage.embedded.data_directory import Cluster
from service.storage.embedded.locks import FileLock
from service.storage.embedded.supervisor import EmbeddedPostgres
from service.storage.errors import DatabaseError, EmbeddedDatabaseBusyError

log = get_logger()

CONNECT_TIMEOUT_S = 10.0
# As long as another command may take to start the database that we will share.
START_PATIENCE_S = 60.0
# A service that is told to stop does so, though a long command may share its database.
SHARERS_PATIENCE_S = 5.0


@asynccontextmanager
async def database(*, data: Path, database_url: str | None, serving: bool = False) -> AsyncIterator[str]:
    """The address of a database that answers, for as long as the context lasts.

    `database_url`, where the operator gives one, else the embedded database under `data`. A command shares it with
    whoever runs it, or runs it for as long as it and those who came to share it need it. The service (`serving`) runs
    it itself, and takes it along when it stops. A server that ends by itself is started again.

    Raises DatabaseError when there is none, and inside the context when the embedded one cannot be kept running.
    """
    if database_url is not None:
        await _check(database_url)
        yield database_url
        return
    cluster = Cluster(data)
    async with AsyncExitStack() as stack:
        yield await (_serve(cluster, stack) if serving else _borrow_or_start(cluster, stack))


async def _serve(cluster: Cluster, stack: AsyncExitStack) -> str:
    postgres = EmbeddedPostgres(cluster.data)
    url = await postgres.start()
    stack.push_async_callback(_stop_unused, postgres, patience_s=SHARERS_PATIENCE_S)
    await stack.enter_async_context(_watched(postgres))
    return url


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
    stack.push_async_callback(_stop_unused, postgres, patience_s=None)
    await stack.enter_async_context(_watched(postgres))
    return url


@asynccontextmanager
async def _watched(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """Keep the server running beside the block; when that fails, the block is cancelled and the reason raised."""
    inside = asyncio.current_task()
    assert inside is not None
    watch = asyncio.create_task(postgres.watch())
    watch.add_done_callback(lambda _: inside.cancel() if _failure(watch) else None)
    try:
        yield
    except asyncio.CancelledError:
        failure = _failure(watch)
        if failure is None:
            raise
        inside.uncancel()
        raise failure from None
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


def _failure(watch: asyncio.Task[None]) -> BaseException | None:
    return watch.exception() if watch.done() and not watch.cancelled() else None


async def _stop_unused(postgres: EmbeddedPostgres, *, patience_s: float | None) -> None:
    """Stop the database once nobody shares it, or after `patience_s`; no one can begin to while it stops."""
    borrowers = _borrowers(postgres.cluster)
    deadline = None if patience_s is None else time.monotonic() + patience_s
    said = False
    try:
        while not borrowers.try_exclusive() and (deadline is None or time.monotonic() < deadline):
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
        place = _describe_address(url)
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


def _describe_address(url: str) -> str:
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
