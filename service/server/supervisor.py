"""`calledger serve`: one process that keeps house, and as many as wanted that answer on one port."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from service.errors import ServiceError
from service.gc_tuning import collector_resting
from service.keyring import KeyGoneError, KeyringUnavailableError
from service.keyring.watch import watch_for_ever
from service.ledger import LedgerKind
from service.logs import get_logger
from service.retention.audit.start_check import log_differences
from service.retention.maintenance import maintain_for_ever
from service.retention.rollups.compaction import Compaction
from service.runtime.runtime import Runtime, open_runtime
from service.server.sockets import address_host, bound, listen
from service.settings import Settings
from service.shared import shared_memory
from service.storage.control.policies import refuse_unledgered
from service.storage.notices import listen_for_ever
from service.storage.partitions import Need
from service.tasks import background

log = get_logger()
# Twice what a worker itself takes for the requests that are under way.
_WORKER_PATIENCE_SECONDS = 40.0
_WORKER_READY = "ready"

Announce = Callable[[str], None]
Answering = Callable[[Runtime, socket.socket], AbstractAsyncContextManager[None]]


async def serve(settings: Settings, announce: Announce, prepare: Callable[[Runtime], Awaitable[None]] | None) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the ready line once requests are accepted.

    `prepare` runs with the open runtime before anything is served.
    """
    stop = _stop_signal()
    # Before anything else: a port that is taken is found out before a database is started and keys are printed.
    listener = listen(settings, shared=settings.workers > 1)
    with contextlib.closing(listener):
        loading = _load_answering() if settings.workers == 1 else None
        async with open_runtime(settings, serving=True) as runtime:
            if prepare is not None:
                await prepare(runtime)
            for protection in runtime.database.missing_protections:
                log.warning("a protection is missing", wall=protection)
            await _begin(runtime)
            await _serve_until(stop, settings, runtime, listener, loading, announce)


def _load_answering() -> "asyncio.Task[Answering]":
    """The half of our modules that answers, loaded by a thread while the database is started and examined."""

    def load() -> Answering:
        with collector_resting():
            from service.server.lifecycle import answering
        return answering

    return asyncio.create_task(asyncio.to_thread(load))


async def _begin(runtime: Runtime) -> None:
    """Write to the ledger that the service starts, and under which policy, before anything is served."""
    newest = await runtime.ledger.newest(LedgerKind.POLICY_APPLIED)
    refuse_unledgered(runtime.applied, newest and newest[1].facts)
    facts: dict[str, object] = {"policy": runtime.applied.digest, "version": version("calledger"), "signer": None}
    try:
        facts["signer"] = str((await runtime.keeper.checkpoints.signer()).key)
    except (KeyringUnavailableError, KeyGoneError) as error:
        # All but sealed fields is served without it; the next round that has it signs what is written meanwhile.
        log.warning("the ledger is signed when the keyring is back", reason=str(error))
    await runtime.ledger.append(LedgerKind.STARTED, facts, actor="system")
    if facts["signer"] is not None:
        await runtime.keeper.checkpoints.sign()
    await runtime.keeper.settle()


async def _serve_until(
    stop: asyncio.Event,
    settings: Settings,
    runtime: Runtime,
    listener: socket.socket,
    loading: "asyncio.Task[Answering] | None",
    announce: Announce,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(background(_housekeeping(runtime)))
        if loading is not None:
            await stack.enter_async_context((await loading)(runtime, listener))
        else:
            await stack.enter_async_context(_workers(settings, runtime.database.url, listener, stop))
        announce(f"ready http://{address_host(settings.host)}:{listener.getsockname()[1]}")
        await stop.wait()
        log.info("stopping")


async def work(settings: Settings, url: str, announce: Announce) -> None:
    """One of several processes on the port of `settings`: answers, leaves the house to its parent, ends with it."""
    stop = _stop_signal()
    # The parent holds the other end and never writes: the end of the pipe is the end of the parent, kill -9 included.
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    loading = _load_answering()
    async with (
        open_runtime(settings.model_copy(update={"database_url": url})) as runtime,
        (await loading)(runtime, bound(settings, shared=True)),
    ):
        announce(_WORKER_READY)
        await stop.wait()


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
        maintain_for_ever(runtime.retention, wake=wake),
        Compaction(runtime.database.owner, ensure=ensure).compact_for_ever(),
        runtime.keeper.keep_for_ever(),
        listen_for_ever(runtime.database.url, reactions, {"accounts": runtime.accounts.on_notice}),
        log_differences(runtime.retention),
        watch_for_ever(runtime.keyring),
    ]


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def _workers(settings: Settings, url: str, listener: socket.socket, stop: asyncio.Event) -> AsyncIterator[None]:
    """Start the processes that answer. The parent's socket is bound but does not listen: it only keeps the port.

    A worker that ends by itself takes the service down, with ServiceError: whoever supervises us starts it whole again.
    """
    with shared_memory(settings.workers) as (memory, environments):
        processes = await _start_workers(settings, url, listener.getsockname()[1], memory, environments)
        async with _watched(processes, stop):
            yield


@asynccontextmanager
async def _watched(processes: Sequence[asyncio.subprocess.Process], stop: asyncio.Event) -> AsyncIterator[None]:
    """Until the end of the block all of them answer; `stop` is set when one ends. They are ended with the block."""
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


async def _start_workers(
    settings: Settings, url: str, port: int, memory: int, environments: Iterable[Mapping[str, str]]
) -> list[asyncio.subprocess.Process]:
    """A process for each of `environments`; `memory`: the open file of what they share."""
    environment = os.environ | {
        "CALLEDGER_WORKER_URL": url,
        "CALLEDGER_DATA": str(settings.data),
        "CALLEDGER_HOST": settings.host,
        "CALLEDGER_PORT": str(port),
    }
    pipe = asyncio.subprocess.PIPE
    return [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "service", "work"),
            stdin=pipe,
            stdout=pipe,
            env={**environment, **own},
            pass_fds=(memory,),
        )
        for own in environments
    ]


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_WORKER_PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        log.error("a worker process did not end and is killed")
        process.kill()
        await process.wait()


async def _stop_when_ended(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await process.wait()
    stop.set()
