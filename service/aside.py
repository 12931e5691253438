"""A thread for what takes long in one piece.

It shares the interpreter with the event loop: it hands over every millisecond, and so the loop waits a millisecond and
not the piece. One thread for each kind of work: two would only take turns with each other.
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
    """The thread for what takes long in one piece. `close` it after use."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[_Item], _Made], item: _Item) -> _Made:
        """`work(item)`, done in the thread."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="calledger-aside")
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, item)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
