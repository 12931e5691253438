"""`calledger serve`: one process that keeps house, and as many as wanted that answer on one port."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from aiohttp import web

from service.app import Handler, Runner, build_app
from service.errors import OperatorError, ServiceError
from service.ingest import close_writer
from service.keyring import KeyringUnavailableError
from service.ledger import LedgerKind
from service.logs import get_logger
from service.retention.folder import Folder
from service.retention.maintenance import maintain_for_ever
from service.runtime import Runtime, open_runtime
from service.settings import Settings
from service.storage.notices import listen_for_ever
from service.storage.partitions import Need
from service.storage.policy_store import refuse_unledgered

log = get_logger()
_SHUTDOWN_SECONDS = 20.0
_CUT_OFF_SECONDS = 1.0
_WORKER_PATIENCE_SECONDS = _SHUTDOWN_SECONDS + 20.0
_WORKER_READY = "ready"

Announce = Callable[[str], None]


async def serve(settings: Settings, announce: Announce, prepare: Callable[[Runtime], Awaitable[None]] | None) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the ready line once requests are accepted.

    `prepare` runs with the open runtime before anything is served.
    """
    stop = _stop_signal()
    # Before anything else: a port that is taken is found out before a database is started and keys are printed.
    listener = _listen(settings, shared=settings.workers > 1)
    with contextlib.closing(listener):
        async with open_runtime(settings, serving=True) as runtime:
            if prepare is not None:
                await prepare(runtime)
            for wall in runtime.database.missing_walls:
                log.warning("a wall is missing", wall=wall)
            await _begin(runtime)
            await _serve_until(stop, settings, runtime, listener, announce)


async def _begin(runtime: Runtime) -> None:
    """Write to the ledger that the service starts, and under which policy, before anything is served."""
    newest = await runtime.ledger.newest(LedgerKind.POLICY_APPLIED)
    refuse_unledgered(runtime.applied, newest and newest[1].facts)
    facts: dict[str, object] = {"policy": runtime.applied.digest, "version": version("calledger"), "signer": None}
    try:
        facts["signer"] = str((await runtime.keeper.checkpoints.signer()).key)
    except KeyringUnavailableError as error:
        # All but sealed fields is served without it; the next round that has it signs what is written meanwhile.
        log.warning("the ledger is signed when the keyring is back", reason=str(error))
    await runtime.ledger.append(LedgerKind.STARTED, facts, actor="system")
    if facts["signer"] is not None:
        await runtime.keeper.checkpoints.sign()
    await runtime.keeper.settle()


async def _serve_until(
    stop: asyncio.Event, settings: Settings, runtime: Runtime, listener: socket.socket, announce: Announce
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_background(_housekeeping(runtime)))
        if settings.workers == 1:
            await stack.enter_async_context(answering(runtime, listener))
        else:
            await stack.enter_async_context(_workers(settings, runtime.database.url, listener, stop))
        announce(f"ready http://{_host(settings.host)}:{listener.getsockname()[1]}")
        await stop.wait()
        log.info("stopping")


async def work(settings: Settings, url: str, announce: Announce) -> None:
    """One of several processes on the port of `settings`: answers, leaves the house to its parent, ends with it."""
    stop = _stop_signal()
    # The parent holds the other end and never writes: the end of the pipe is the end of the parent, kill -9 included.
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    async with (
        open_runtime(settings.model_copy(update={"database_url": url})) as runtime,
        answering(runtime, _bound(settings, shared=True)),
    ):
        announce(_WORKER_READY)
        await stop.wait()


class _UnderWay:
    """The requests that are being answered, so that a stop can wait for them.

    aiohttp's own stop does not read on: a request whose body is still on its way would hang, and then be cut off.
    """

    def __init__(self) -> None:
        self._count = 0
        self._stopping = False
        self._none = asyncio.Event()
        self._none.set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._count += 1
        self._none.clear()
        try:
            response = await handler(request)
            if self._stopping and not response.prepared:
                response.force_close()
            return response
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def end(self) -> None:
        """Return when none is under way, or patience has run out. Connections are not kept alive from now on."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), _SHUTDOWN_SECONDS)


@asynccontextmanager
async def answering(runtime: Runtime, listener: socket.socket) -> AsyncIterator[None]:
    """Accept requests on `listener`; on the way out finish those under way, then what the writer holds."""
    app = build_app(runtime)
    under_way = _UnderWay()
    app.middlewares.insert(0, under_way.middleware)
    # Bodies arrive as they were sent: ingest decodes gzip itself, within its bounds.
    runner = Runner(
        app, access_log=None, shutdown_timeout=_CUT_OFF_SECONDS, handle_signals=False, auto_decompress=False
    )
    await runner.setup()
    async with _background(_attention(runtime)):
        try:
            # Inside, so that a port that somebody took meanwhile leaves nothing running.
            site = await _start(runner, listener)
            yield
            await site.stop()
            await under_way.end()
        finally:
            await runner.cleanup()
            await close_writer(app)


def _housekeeping(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    async def ensure(needs: Iterable[Need]) -> None:
        await runtime.partitions.ensure(runtime.applied.policy, needs)

    wake = asyncio.Event()

    async def wake_up() -> None:
        wake.set()

    reactions = {
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
        "purge": wake_up,
        "ledger": runtime.keeper.settle,
    }
    return [
        maintain_for_ever(runtime.means, wake=wake),
        Folder(runtime.database.owner, ensure=ensure).fold_for_ever(),
        runtime.keeper.keep_for_ever(),
        listen_for_ever(runtime.database.url, reactions),
    ]


def _attention(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    async def forget_keys() -> None:
        runtime.authenticator.forget()

    async def forget_data_keys() -> None:
        runtime.keyring.forget()

    reactions = {
        "keys": forget_keys,
        "purge": forget_data_keys,
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
    }
    return [listen_for_ever(runtime.database.url, reactions), runtime.authenticator.note_uses_for_ever()]


@asynccontextmanager
async def _background(work: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run endless work beside the block, and end it with the block."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _start(runner: web.AppRunner, listener: socket.socket) -> web.SockSite:
    site = web.SockSite(runner, listener)
    try:
        await site.start()
    except OSError as error:
        raise _cannot_listen(*listener.getsockname()[:2], error) from None
    return site


def _listen(settings: Settings, *, shared: bool) -> socket.socket:
    """A socket that is bound and does not listen yet: until it does, connections are refused."""
    if shared and settings.port:
        # Sharing is for our own processes: bind alone first, which fails while another service has the port.
        _bound(settings, shared=False).close()
    return _bound(settings, shared=shared)


def _bound(settings: Settings, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((settings.host, settings.port))
    except (OSError, UnicodeError) as error:
        listener.close()
        raise _cannot_listen(settings.host, settings.port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> OperatorError:
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES):
        advice = "choose another --port; 0 takes a free one"
    else:
        advice = "is --host an address of this machine?"
    reason = (error.strerror if isinstance(error, OSError) else None) or "no such name"
    return OperatorError(f"`{host}:{port}` cannot be listened on ({reason.lower()}): {advice}")


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@asynccontextmanager
async def _workers(settings: Settings, url: str, listener: socket.socket, stop: asyncio.Event) -> AsyncIterator[None]:
    """Start the processes that answer. The parent's socket is bound but does not listen: it only keeps the port.

    A worker that ends by itself takes the service down, with ServiceError: whoever supervises us starts it whole again.
    """
    processes = await _start_workers(settings, url, listener.getsockname()[1])
    watchers = [asyncio.create_task(_stop_when_ended(process, stop)) for process in processes]
    try:
        for process in processes:
            if process.stdout is None or (await process.stdout.readline()).decode().strip() != _WORKER_READY:
                raise ServiceError("a worker process did not start; its message is above")
        yield
        ended = [process.returncode for process in processes if process.returncode]
        if ended:
            raise ServiceError(f"a worker process ended by itself (code {ended[0]}), and the service with it")
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*map(_end, processes))


async def _start_workers(settings: Settings, url: str, port: int) -> list[asyncio.subprocess.Process]:
    environment = os.environ | {
        "CALLEDGER_WORKER_URL": url,
        "CALLEDGER_DATA": str(settings.data),
        "CALLEDGER_HOST": settings.host,
        "CALLEDGER_PORT": str(port),
    }
    pipe = asyncio.subprocess.PIPE
    return [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", "work", stdin=pipe, stdout=pipe, env=environment
        )
        for _ in range(settings.workers)
    ]


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _WORKER_PATIENCE_SECONDS)
    except TimeoutError:
        log.error("a worker process did not end and is killed")
        process.kill()
        await process.wait()


async def _stop_when_ended(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await process.wait()
    stop.set()
