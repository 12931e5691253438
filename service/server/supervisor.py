"""`calledger serve`: one process that maintains the ledger, and as many as configured that answer on one port."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from service.keyring import KeyGoneError, KeyringUnavailableError
from service.ledger import LedgerKind
from service.log_redaction import shared_redactor
from service.logs import get_logger
from service.memory import collection_paused, expect_requests
from service.retention.audit.start_check import log_differences
from service.retention.maintenance import maintain_for_ever
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.tag_keys import keep_tags_for_ever
from service.runtime.runtime import Runtime, open_runtime
from service.server.attesting import attest_for_ever
from service.server.sockets import address_host, bind, listen
from service.server.workers import READY, workers
from service.settings import Settings
from service.storage.control.policies import refuse_unledgered
from service.storage.notifications import listen_for_ever
from service.storage.partitions import Need
from service.storage.shared.election import work_while_elected
from service.tasks import background

log = get_logger()

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
            # Our own socket does not listen: it only reserves the port.
            port = listener.getsockname()[1]
            await stack.enter_async_context(workers(settings, runtime.database.url, port, stop))
        announce(f"ready http://{address_host(settings.host)}:{listener.getsockname()[1]}")
        expect_requests()
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
    # A policy that was applied since the service began is in force for a worker that comes later, too.
    settings = settings.model_copy(update={"database_url": url, "policy": None})
    async with (
        open_runtime(settings, migrated=True) as runtime,
        (await loading)(runtime, bind(settings, shared=True)),
    ):
        announce(READY)
        expect_requests()
        await stop.wait()


def _maintenance_work(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    """The loops of the process that stands above the others, or is the only one."""

    async def ensure(needs: Iterable[Need]) -> None:
        """Make the partitions that deltas need, under the policy in force."""
        await runtime.partitions.ensure_anew(runtime.applied.policy, needs)

    wake, attestation_asked = asyncio.Event(), asyncio.Event()

    async def wake_up() -> None:
        """Start a round of maintenance."""
        wake.set()

    async def make_attestations() -> None:
        """Make the statements of retention that wait."""
        attestation_asked.set()

    reactions = {
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
        "purge": wake_up,
        "attestations": make_attestations,
        "ledger": runtime.publisher.settle,
    }

    def maintain() -> list[Coroutine[Any, Any, None]]:
        """What one process of all services does."""
        return [
            maintain_for_ever(runtime.retention, wake=wake),
            Compaction(runtime.database.owner, ensure=ensure).compact_for_ever(),
            keep_tags_for_ever(runtime.retention),
            attest_for_ever(runtime, attestation_asked),
        ]

    return [
        work_while_elected(runtime.database.url, maintain),
        runtime.publisher.publish_for_ever(),
        listen_for_ever(runtime.database.url, reactions, {"accounts": runtime.accounts.on_notification}),
        log_differences(runtime.retention),
    ]


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
