"""The event loop's time, shared: what takes long is done in slices, and what takes long in one piece, in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from itertools import chain, islice
from time import perf_counter as _clock
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from policies import Report
from policies.admission.report import ErrorReport
from service.aside import Aside
from service.ingest.formats.split import Rejection

SLICE_S: Final = 0.002
"""How long one request works before others get their turn."""

LONG_TEXT_BYTES: Final = 2**16
"""Rows of this size on are read in the thread."""

ERROR_CHARS_MAX: Final = 2**16
"""Error text that one request stores at a time."""

_FEW_ITEMS: Final = 16
_FEW_BYTES: Final = 2**15
_LONG_ERROR_CHARS: Final = 2000
_FEW_STRINGS: Final = 32

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


# Of the requests that take more than a slice one works in each round of the loop, however many there are.
_lanes: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()


class Turn:
    """One request's turn on the loop: `if turn.is_over: await turn.next()`, after every piece of work."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = _clock() + SLICE_S

    @property
    def is_over(self) -> bool:
        """Whether the time of this turn on the event loop has passed."""
        return _clock() > self.until

    async def next(self) -> None:
        """Let the others have theirs."""
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        lane = _lanes.get(loop)
        if lane is None:
            lane = _lanes[loop] = asyncio.Lock()
        await lane.acquire()
        loop.call_soon(lane.release)
        self.until = _clock() + SLICE_S


async def in_parts(
    items: Iterable[_Item],
    work: Callable[[_Item], "Report | Rejection"],
    size: int,
    *,
    aside: Aside,
    size_of: Callable[[_Item], int],
) -> AsyncIterator[list["Report | Rejection"]]:
    """`work(item)` of all items, in order, in lists made as they are asked for: at most `size`, and few long errors.

    What one request stores at a time, others wait for. `size_of`: bytes of an item that is still to be read.
    """
    remaining = iter(items)
    made: list[Report | Rejection] = []
    turn, chars = Turn(), 0
    while few := list(islice(remaining, min(_FEW_ITEMS, size - len(made)))):
        # Many at a time where they are small: to look at clock and size after each would take a tenth of the work.
        for some in [few] if sum(map(size_of, few)) <= _FEW_BYTES else [[item] for item in few]:
            is_long = size_of(some[0]) > LONG_TEXT_BYTES
            rows = [await aside.run(work, some[0])] if is_long else list(map(work, some))
            made += rows
            chars += sum([error_chars(row.error) for row in rows if isinstance(row, Report) and row.error is not None])
            if len(made) == size or chars > ERROR_CHARS_MAX:
                yield made
                made, turn, chars = [], Turn(), 0
            elif turn.is_over:
                await turn.next()
    if made:
        yield made


def error_chars(error: ErrorReport) -> int:
    """How much text an error is, which is sealed and stored with its call."""
    chars = len(error.message or "")
    if error.parameters:
        chars += sum([len(value) for value in error.parameters.values() if isinstance(value, str)])
    return chars


def is_long_to_admit(report: Report) -> bool:
    """Whether to admit the report may take more than a slice: a long error text, or much to hold it against."""
    error = report.error
    if error is None:
        return False
    strings: Sequence[str] = report.content
    if len(strings) > _FEW_STRINGS or len(error.parameters) > _FEW_STRINGS:
        return True
    chars = len(error.message or "") + sum(map(len, chain(strings, report.identifiers)))
    for value in error.parameters.values():
        if isinstance(value, list | dict):
            return True
        chars += len(value) if isinstance(value, str) else 0
    return chars > _LONG_ERROR_CHARS


async def in_turns(steps: Generator[None, None, _Made]) -> _Made:
    """The result of work that is done in steps."""
    turn = Turn()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: _Made = end.value
            return made
        if turn.is_over:
            await turn.next()
