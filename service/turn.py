"""Turns on the event loop: long work that can be divided is done in pieces of two milliseconds, with others' between.

until = clock() + TURN_S
for piece in work:
    ...
    if clock() > until:
        until = await next_turn()
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter as clock
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["TURN_S", "Paced", "clock", "next_turn"]

_Item = TypeVar("_Item")

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
