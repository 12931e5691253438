"""Files that are brought to this host before they are read: a few at a time, and nobody waits for long.

A store that has stalled takes threads of its own and some seconds of those who ask for its files. Other files, which
are read in another thread, and everything else are answered meanwhile.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from service.storage.cold.catalogue import ColdFile
from service.storage.cold.errors import ColdFileError

AT_ONCE_MAX: Final = 4
"""Files that are fetched at a time."""
WAITING_MAX: Final = 8
"""How many wait at a time for files to be fetched; others are told to come back."""
WAIT_S: Final = 20.0
"""How long each of them waits. What was begun goes on, for those who come later."""
PAUSE_S: Final = 10.0
"""For so long nobody waits after somebody has waited in vain."""


class Fetching:
    """What is being fetched by one process. `close` it after use."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._waiting = 0
        self._slow_until = 0.0

    async def wait_for(self, file: ColdFile, fetch: Callable[[], None]) -> None:
        """Have `fetch` done in a thread, once for all who ask for the same file meanwhile.

        Raises what it raises, and ColdFileError where it takes long or many wait already.
        """
        if self._waiting >= WAITING_MAX or time.monotonic() < self._slow_until:
            raise ColdFileError(f"`{file.name}` is not on this host, and the store of calls is slow: try again later")
        under_way = self._under_way.get(file.name)
        if under_way is None:
            under_way = self._begin(file.name, fetch)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await asyncio.shield(under_way)
        except TimeoutError as error:
            self._slow_until = time.monotonic() + PAUSE_S
            raise ColdFileError(f"`{file.name}` did not arrive in {WAIT_S:.0f} s: try again later") from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads after what is under way."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str, fetch: Callable[[], None]) -> "asyncio.Future[None]":
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="calledger-fetch")
        begun = asyncio.get_running_loop().run_in_executor(self._threads, fetch)
        self._under_way[name] = begun
        begun.add_done_callback(lambda done: self._end(name, done))
        return begun

    def _end(self, name: str, done: "asyncio.Future[None]") -> None:
        del self._under_way[name]
        if not done.cancelled():
            done.exception()  # everybody who waited may have gone
