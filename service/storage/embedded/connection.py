"""How every command finds the database: the operator's, the embedded one that runs already, or one that it starts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from service.logs import get_logger
from service.storage.citus.nodes import coordinator_of, each_address
from service.storage.embedded.data_directory import Cluster
from service.storage.embedded.locks import FileLock
from service.storage.embedded.supervisor import EmbeddedPostgres
from service.storage.errors import DatabaseError, EmbeddedDatabaseBusyError

log = get_logger()

CONNECT_TIMEOUT_S = 10.0
# Another command may take this long to start the database that we will share.
START_TIMEOUT_S = 60.0
# A service that is told to stop waits this long for commands that share its database.
SHARERS_TIMEOUT_S = 5.0


@asynccontextmanager
async def database(*, data: Path, database_url: str | None, serving: bool = False) -> AsyncIterator[str]:
    """The address of a database that answers, for as long as the context lasts.

    This is the operator's where `database_url` is given, whose hosts are tried in turn; of a cluster it is the
    coordinator, whichever node answers. Otherwise it is the embedded database under `data`. A command shares that with
    the process that runs it, or runs it itself for as long as it and those that share it need it. The service
    (`serving`) runs it itself, and stops it when it stops. A server that ends by itself is started again.

    Raises DatabaseError when there is none, and inside the context when the embedded one cannot be kept running.
    """
    if database_url is not None:
        yield await _reached(database_url)
        return
    cluster = Cluster(data)
    async with AsyncExitStack() as stack:
        yield await (_serve(cluster, stack) if serving else _borrow_or_start(cluster, stack))


async def _serve(cluster: Cluster, stack: AsyncExitStack) -> str:
    postgres = EmbeddedPostgres(cluster.data)
    url = await postgres.start()
    stack.push_async_callback(_stop_unused, postgres, timeout_s=SHARERS_TIMEOUT_S)
    await stack.enter_async_context(_watched(postgres))
    return url


async def _borrow_or_start(cluster: Cluster, stack: AsyncExitStack) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return await _borrow(cluster, stack) or await _start(cluster, stack)
        except EmbeddedDatabaseBusyError:
            # The process that has it is starting it, stopping it, or recovering it after a crash.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def _borrow(cluster: Cluster, stack: AsyncExitStack) -> str | None:
    """The address of the database that another process runs, and which from now on waits for us; None without one."""
    borrowers = _borrowers(cluster)
    try:
        # The file is looked at first: without it there may be no directory for the lock.
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
    url = await postgres.start(timeout_s=0)
    stack.push_async_callback(_stop_unused, postgres, timeout_s=None)
    await stack.enter_async_context(_watched(postgres))
    return url


@asynccontextmanager
async def _watched(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """Keep the server running during the block. When that fails, the block is cancelled and the reason raised."""
    block = asyncio.current_task()
    assert block is not None
    watch = asyncio.create_task(postgres.watch())
    watch.add_done_callback(lambda _: block.cancel() if _failure(watch) else None)
    try:
        yield
    except asyncio.CancelledError:
        failure = _failure(watch)
        if failure is None:
            raise
        block.uncancel()
        raise failure from None
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


def _failure(watch: asyncio.Task[None]) -> BaseException | None:
    return watch.exception() if watch.done() and not watch.cancelled() else None


async def _stop_unused(postgres: EmbeddedPostgres, *, timeout_s: float | None) -> None:
    """Stop the database once nobody shares it, or after `timeout_s`. Nobody can begin to share it while it stops."""
    borrowers = _borrowers(postgres.cluster)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    is_logged = False
    try:
        while not borrowers.try_exclusive() and (deadline is None or time.monotonic() < deadline):
            if not is_logged:
                log.warning("waiting for another command that uses the database")
                is_logged = True
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


async def _reached(url: str) -> str:
    """The address of the operator's database: of the first of the hosts of `url` that answers, or of its coordinator.

    Raises DatabaseError, naming the servers and never the password, unless one does.
    """
    try:
        addresses = {address: _describe_address(address) for address in each_address(url)}
    except ValueError:
        raise DatabaseError(
            "CALLEDGER_DATABASE_URL is no address of a PostgreSQL: write `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`"
        ) from None
    faults = []
    for address, location in addresses.items():
        try:
            connection = await asyncpg.connect(address, timeout=CONNECT_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            faults.append(f"the database at `{location}` does not answer ({_reason(error)})")
            continue
        try:
            return await coordinator_of(connection, address)
        finally:
            await connection.close()
    raise DatabaseError(f"{'; '.join(faults)}: check CALLEDGER_DATABASE_URL, or unset it to use the embedded database")


def _describe_address(url: str) -> str:
    """Host, port and database of an address, without user, password and options. Raises ValueError for any
    other text.
    """
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
