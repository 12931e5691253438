"""How long the event loop is away from others."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def watched(clock: Callable[[], float] = time.process_time) -> AsyncIterator[list[float]]:
    """How long the loop was away each time, in seconds of the process's own CPU: others are on the machine too.
    By `time.thread_time` it is what the loop's thread did itself, however the processor was shared with other threads.

    The garbage collector rests: what it would walk here is other than where the service runs (`benchmarks freeze`).
    """
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            begun = clock()
            await asyncio.sleep(0)
            gaps.append(clock() - begun)

    gc.disable()
    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield gaps
        await asyncio.sleep(0)
    finally:
        task.cancel()
        gc.enable()
