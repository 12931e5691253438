"""Cancelling a coroutine at one of its awaits, at the two moments that a loop meets: while it waits, and at its answer.

The second is the one that `asyncio.wait_for` of Python 3.11 swallows: the awaited future is done, the task has not been
resumed yet, and `cancel` arrives in between.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

PATIENCE_S = 60
IDLE_S = 0.5


class CancelledAt:
    """Awaits `work`, and cancels its task at the await number `position`, counted from 0."""

    def __init__(self, work: Coroutine[Any, Any, Any], position: int, *, at_answer: bool) -> None:
        self._work = work
        self._position = position
        self._at_answer = at_answer
        self.awaits = 0
        self.reached = asyncio.Event()

    def __await__(self) -> Generator[Any, Any, Any]:
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited = self._work.send(value) if error is None else self._work.throw(error)
            except StopIteration as end:
                return end.value
            if self.awaits == self._position:
                self._cancel(waited)
            self.awaits += 1
            value = error = None
            try:
                value = yield waited
            except BaseException as raised:
                error = raised

    def _cancel(self, waited: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.reached.set()
        if self._at_answer and isinstance(waited, asyncio.Future):
            # Ours is the first callback: the task's own, which resumes it, is added after this.
            waited.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


async def ends_when_cancelled(work: Coroutine[Any, Any, Any], position: int, *, at_answer: bool) -> bool:
    """Run `work` and cancel it at its await `position`; False when it waits for something before it gets there.

    Fails when the task does not end after its cancellation.
    """
    watched = CancelledAt(work, position, at_answer=at_answer)

    async def run() -> None:
        await watched

    task = asyncio.create_task(run())
    seen = -1
    while not watched.reached.is_set() and not task.done() and watched.awaits != seen:
        seen = watched.awaits
        await asyncio.wait(
            [asyncio.create_task(watched.reached.wait()), task], timeout=IDLE_S, return_when="FIRST_COMPLETED"
        )
    reached = watched.reached.is_set()
    if not reached or at_answer:
        # What it waits for may never come: then the cancellation that everybody sends is the one that counts.
        await asyncio.wait([task], timeout=IDLE_S)
        task.cancel()
    _, hanging = await asyncio.wait([task], timeout=PATIENCE_S)
    stack = task.get_stack()
    while not task.done():  # the next cancellation meets it somewhere else
        task.cancel()
        await asyncio.sleep(0.01)
    assert not hanging, f"cancelled at await {position}, it goes on: {stack}"
    return reached
