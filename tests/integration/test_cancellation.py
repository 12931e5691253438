"""Every loop in the background ends when it is cancelled, at whichever of its awaits the cancellation meets it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cancelling import ends_when_cancelled
from running import surroundings

from service.delivery.sender import Sender
from service.delivery.worker import DeliveryWorker
from service.export.folder import ExportFolder
from service.export.jobs import ExportWriter
from service.keyring.stores.postgres_listener import NotificationListener
from service.retention.cold.thaw import tier_of
from service.retention.maintenance import maintain_for_ever
from service.retention.rollups.compaction import Compaction
from service.runtime.runtime import Runtime, open_runtime
from service.server.attesting import attest_for_ever
from service.settings import Settings
from service.storage.cold.tier import let_go_for_ever
from service.storage.notifications import listen_for_ever, notify
from service.tasks import background, set_within
from service.webhooks.addresses import AddressGuard

Work = Callable[[Runtime], Coroutine[Any, Any, None]]
SHORT_S = 0.001
LEAST = 5


def _exports(runtime: Runtime) -> Coroutine[Any, Any, None]:
    async def write() -> None:
        asked = asyncio.create_task(_set_again(runtime.export_asked))
        try:
            await ExportWriter(runtime, ExportFolder(runtime.settings.data / "exports")).write_for_ever()
        finally:
            asked.cancel()

    return write()


async def _set_again(event: asyncio.Event) -> None:
    while True:
        event.set()
        await asyncio.sleep(SHORT_S)


def _listening(runtime: Runtime) -> Coroutine[Any, Any, None]:
    async def say_more() -> None:
        await notify(runtime.database.owner, "keys")

    return listen_for_ever(runtime.database.url, {"keys": say_more, "accounts": runtime.accounts.refresh})


def _hearing(runtime: Runtime) -> Coroutine[Any, Any, None]:
    return NotificationListener(runtime.database.url)._listen_for_ever(asyncio.Event())


async def _woken(runtime: Runtime) -> None:
    wake = asyncio.Event()
    waking = asyncio.create_task(_set_again(wake))
    try:
        await maintain_for_ever(runtime.retention, wake=wake)
    finally:
        waking.cancel()


async def _delivering(runtime: Runtime) -> None:
    async with Sender.open(AddressGuard()) as sender:
        await DeliveryWorker(runtime, sender).work_for_ever(SHORT_S)


LOOPS: dict[str, Work] = {
    "maintenance": lambda runtime: maintain_for_ever(runtime.retention, every_s=SHORT_S),
    "maintenance that is woken": _woken,
    "compacting of usage": lambda runtime: Compaction(runtime.database.owner).compact_for_ever(SHORT_S),
    "statements of retention": lambda runtime: attest_for_ever(runtime, asyncio.Event(), every_s=SHORT_S),
    "the ledger's mirror": lambda runtime: runtime.publisher.publish_for_ever(),
    "exports": _exports,
    "webhooks": _delivering,
    "notices": _listening,
    "the keyring's notices": _hearing,
    "copies of files": lambda runtime: let_go_for_ever(tier_of(runtime.retention), runtime.database.owner, SHORT_S),
    "uses of keys": lambda runtime: runtime.authenticator.note_uses_for_ever(SHORT_S),
}


@pytest.fixture
async def runtime(database_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(Settings(data=tmp_path, database_url=database_url)) as runtime:
        yield runtime


@pytest.mark.parametrize("at_answer", [False, True], ids=["while it waits", "at its answer"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_loop_ends_at_every_await(runtime: Runtime, loop: str, at_answer: bool) -> None:
    """Each of its first awaits, and a sample of the later ones, of the next rounds too."""
    for position in [*range(60), *range(60, 400, 23)]:
        if not await ends_when_cancelled(LOOPS[loop](runtime), position, at_answer=at_answer):
            break
    assert position >= LEAST


async def test_a_cancellation_that_meets_the_event_is_not_swallowed() -> None:
    """What wakes a loop and what ends it may come in the same turn of the event loop."""
    event = asyncio.Event()
    task = asyncio.create_task(set_within(event, 30))
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_waiting_for_an_event_says_whether_it_came() -> None:
    """True when it is set in time, False when the time is over first."""
    event = asyncio.Event()
    assert not await set_within(event, SHORT_S)
    event.set()
    assert await set_within(event, 30)


async def test_work_that_ends_by_an_error_is_logged_while_the_block_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A loop that nobody awaits must not end in silence."""

    async def broken() -> None:
        raise ValueError("no such table")

    async with background([broken()]):
        await asyncio.sleep(0.01)
        assert "work in the background has ended" in "".join(capsys.readouterr())


@pytest.mark.parametrize("at_answer", [False, True], ids=["while it waits", "at its answer"])
def test_serve_ends_at_every_await(database_url: str, tmp_path: Path, at_answer: bool) -> None:
    """From its first step to its ready line, a sample of awaits: the service ends, and gives its port back."""
    program = Path(__file__).parents[1] / "services" / "cancelled_service.py"
    command = [sys.executable, program, database_url, tmp_path, str(at_answer)]
    done = subprocess.run(command, env=surroundings(None), capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    awaits = int(re.search(r"ended at (\d+) awaits", done.stdout)[1])
    assert awaits >= LEAST
