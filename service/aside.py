"""A thread for long computations.

It shares the interpreter with the event loop and gives it up every millisecond, so that the loop waits a millisecond
and not for the whole computation. There is one thread for each kind of work, since two would only alternate.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

_SWITCH_S: Final = 0.001

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class Aside:
    """A thread for long computations. `close` it after use."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[_Item], _Made], item: _Item) -> _Made:
        """The result of `work(item)`, computed in the thread."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="calledger-aside")
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, item)

    def close(self) -> None:
        """End the thread after the work under way; nothing happens if it was never used."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
