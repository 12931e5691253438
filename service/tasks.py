"""Endless work during a block, and waiting for an event with a time limit."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from service.logs import get_logger

log = get_logger()


@asynccontextmanager
async def background(work: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run endless work during the block, and cancel it at its end. Work that ends by an error is logged at once."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    for task in tasks:
        task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until `event` is set, at most `seconds`; whether it is.

    `asyncio.wait_for` would swallow a cancellation at the moment of the event (Python 3.11, bpo-37658), and a loop that
    waits would never end.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        name = getattr(task.get_coro(), "__qualname__", task.get_name())
        log.error("work in the background has ended", task=name, exc_info=error)


class Notifier:
    """Wakes all waiting tasks, any number of times. `count`: how often, so that a task sees that it missed one."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def notify_all(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, count: int, within_s: float) -> None:
        """Return when there were more than `count` notifications, or after `within_s`."""
        while self.count <= count and await set_within(self._next, within_s):
            pass
