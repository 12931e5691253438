"""`calledger serve`: one process that maintains the ledger, and as many as configured that answer on one port."""

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
from service.gc_tuning import collection_paused
from service.keyring import KeyGoneError, KeyringUnavailableError
from service.keyring.watch import watch_for_ever
from service.ledger import LedgerKind
from service.log_redaction import shared_redactor
from service.logs import get_logger
from service.retention.audit.start_check import log_differences
from service.retention.maintenance import maintain_for_ever
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.tag_keys import keep_tags_for_ever
from service.runtime.runtime import Runtime, open_runtime
from service.server.sockets import address_host, bind, listen
from service.settings import Settings
from service.shared import shared_memory
from service.storage.control.policies import refuse_unledgered
from service.storage.notices import listen_for_ever
from service.storage.partitions import Need
from service.tasks import background

log = get_logger()
# Twice the time that a worker itself allows for the requests under way.
_WORKER_STOP_SECONDS = 40.0
_WORKER_READY = "ready"

Announce = Callable[[str], None]
AcceptRequests = Callable[[Runtime, socket.socket], AbstractAsyncContextManager[None]]


async def serve(settings: Settings, announce: Announce, prepare: Callable[[Runtime], Awaitable[None]] | None) -> None:
    """Serve until SIGINT or SIGTERM. `announce` is called with the ready line once requests are accepted.

    `prepare` runs with the open runtime before anything is served.
    """
    stop = _stop_signal()
    # First, so that a port in use is reported before a database is started and keys are printed.
    listener = listen(settings, shared=settings.workers > 1)
    with contextlib.closing(listener):
        loading = _load_application() if settings.workers == 1 else None
        async with open_runtime(settings, serving=True) as runtime:
            if prepare is not None:
                await prepare(runtime)
            for protection in runtime.database.missing_protections:
                log.warning("a protection is missing", protection=protection)
            await _begin(runtime)
            await _serve_until(stop, settings, runtime, listener, loading, announce)


def _load_application() -> "asyncio.Task[AcceptRequests]":
    """Load the modules that answer requests and compile what they redact by, while the database is started."""

    def load() -> AcceptRequests:
        """Import the application, in a thread."""
        with collection_paused():
            from service.server.lifecycle import accepting_requests

            shared_redactor()
        return accepting_requests

    return asyncio.create_task(asyncio.to_thread(load))


async def _begin(runtime: Runtime) -> None:
    """Write to the ledger that the service starts, and under which policy, before anything is served."""
    newest = await runtime.ledger.newest(LedgerKind.POLICY_APPLIED)
    refuse_unledgered(runtime.applied, newest and newest[1].facts)
    facts: dict[str, object] = {"policy": runtime.applied.digest, "version": version("calledger"), "signer": None}
    try:
        facts["signer"] = str((await runtime.publisher.checkpoints.signer()).key)
    except (KeyringUnavailableError, KeyGoneError) as error:
        # Everything but sealed fields is served without it; entries are signed in the first round that has it again.
        log.warning("the ledger is signed when the keyring is back", reason=str(error))
    await runtime.ledger.append(LedgerKind.STARTED, facts, actor="system")
    if facts["signer"] is not None:
        await runtime.publisher.checkpoints.sign()
    await runtime.publisher.settle()


async def _serve_until(
    stop: asyncio.Event,
    settings: Settings,
    runtime: Runtime,
    listener: socket.socket,
    loading: "asyncio.Task[AcceptRequests] | None",
    announce: Announce,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(background(_maintenance_work(runtime)))
        if loading is not None:
            await stack.enter_async_context((await loading)(runtime, listener))
        else:
            await stack.enter_async_context(_workers(settings, runtime.database.url, listener, stop))
        announce(f"ready http://{address_host(settings.host)}:{listener.getsockname()[1]}")
        await stop.wait()
        log.info("stopping")


async def work(settings: Settings, url: str, announce: Announce) -> None:
    """One of several processes on the port of `settings`: it answers, leaves maintenance to its parent, and ends with
    it.
    """
    stop = _stop_signal()
    # The parent has the other end and never writes: the pipe ends when the parent does, even by kill -9.
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    loading = _load_application()
    async with (
        open_runtime(settings.model_copy(update={"database_url": url})) as runtime,
        (await loading)(runtime, bind(settings, shared=True)),
    ):
        announce(_WORKER_READY)
        await stop.wait()


def _maintenance_work(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    """The loops of the process that maintains the ledger."""

    async def ensure(needs: Iterable[Need]) -> None:
        """Make the partitions that deltas need, under the policy in force."""
        await runtime.partitions.ensure(runtime.applied.policy, needs)

    wake = asyncio.Event()

    async def wake_up() -> None:
        """Start a round of maintenance."""
        wake.set()

    reactions = {
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
        "purge": wake_up,
        "ledger": runtime.publisher.settle,
    }
    return [
        maintain_for_ever(runtime.retention, wake=wake),
        Compaction(runtime.database.owner, ensure=ensure).compact_for_ever(),
        keep_tags_for_ever(runtime.retention),
        runtime.publisher.publish_for_ever(),
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
    """Start the processes that answer. The parent's socket is bound but does not listen: it only reserves the port.

    A worker that ends by itself ends the service with ServiceError, so that the operator's supervisor starts it again.
    """
    with shared_memory(settings.workers) as (memory, environments):
        processes = await _start_workers(settings, url, listener.getsockname()[1], memory, environments)
        async with _watched(processes, stop):
            yield


@asynccontextmanager
async def _watched(processes: Sequence[asyncio.subprocess.Process], stop: asyncio.Event) -> AsyncIterator[None]:
    """Watch the workers during the block; `stop` is set when one ends. They are stopped at its end."""
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
    """Start a process for each of `environments`; `memory`: the open file of their shared memory."""
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
        async with asyncio.timeout(_WORKER_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.error("a worker process did not end and is killed")
        process.kill()
        await process.wait()


async def _stop_when_ended(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await process.wait()
    stop.set()
