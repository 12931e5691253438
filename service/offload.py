"""Long work that leaves the event loop free for others: in a thread, or in short turns.

The thread shares the interpreter with the event loop and gives it up every millisecond, so that the loop waits a
millisecond and not for the whole computation. There is one thread for each kind of work, since two would only
alternate. Work that can be divided is done on the loop itself, in pieces, with others' between them:

    until = clock() + TURN_S
    for piece in work:
        ...
        if clock() > until:
            until = await next_turn()
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter as clock
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["TURN_S", "OffloadThread", "Paced", "clock", "next_turn"]

_SWITCH_S: Final = 0.001

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class OffloadThread:
    """A thread for long computations. `close` it after use."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[_Item], _Made], item: _Item) -> _Made:
        """The result of `work(item)`, computed in the thread."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="calledger-offload")
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, item)

    def close(self) -> None:
        """End the thread after the work under way; nothing happens if it was never used."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)


TURN_S: Final = 0.002
"""How long one request works before others get their turn."""

# Of the requests that take more than a turn, one works in each round of the loop, however many there are.
_lanes: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()


async def next_turn() -> float:
    """Let the others have theirs; until when the next turn lasts, by `clock`."""
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    lane = _lanes.get(loop)
    if lane is None:
        lane = _lanes[loop] = asyncio.Lock()
    await lane.acquire()
    loop.call_soon(lane.release)
    return clock() + TURN_S


class Paced(Generic[_Item]):
    """Items one after the other, with turns for others between them, for one who works on each before the next."""

    def __init__(self, items: Sequence[_Item]) -> None:
        self._items = items

    async def __aiter__(self) -> AsyncIterator[_Item]:
        until = clock() + TURN_S
        for item in self._items:
            yield item
            if clock() > until:
                until = await next_turn()
