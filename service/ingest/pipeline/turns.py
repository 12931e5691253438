"""The event loop's time and the writer's, shared, so that nobody waits for all of what another client brought.

Long work is done in turns, and what cannot be divided in a thread (`service/aside.py`). `JobQueue` holds what
waits for the writer, and says which of it one commit stores.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, TypeGuard, TypeVar, cast

import msgspec

from policies import Report
from policies.admission.report import ErrorReport
from service.aside import TURN_S, clock, next_turn
from service.ingest.formats.split import Rejection, Row
from service.ingest.pipeline.long_rows import LONG_BYTES, LongRows, Read
from service.ingest.preparation.preparation import Prepared

ERROR_CHARS_MAX: Final = 2**16
"""Error text that one request stores at a time."""

_FEW_ITEMS: Final = 16
_FEW_BYTES: Final = 2**15
_LONG_ERROR_CHARS: Final = 2000
_FEW_STRINGS: Final = 32

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def is_long(row: object) -> TypeGuard[Row]:
    """Whether a row is one for the process."""
    return isinstance(row, bytes | msgspec.Raw) and len(row) > LONG_BYTES


async def in_parts(
    items: Iterable[_Item],
    work: Callable[[_Item], "Report | Rejection"],
    size: int,
    *,
    long_rows: LongRows,
) -> AsyncIterator[list["Report | Rejection"]]:
    """`work(item)` of all items, in order, in lists made as they are asked for: at most `size`, and few long errors.

    What one request stores at a time, others wait for.
    """
    remaining = iter(items)
    made: list[Report | Rejection] = []
    until, chars = clock() + TURN_S, 0
    while few := list(islice(remaining, min(_FEW_ITEMS, size - len(made)))):
        # Many at a time where they are small: to look at clock and size after each would take a tenth of the work.
        for some in [few] if _bytes_of(few) <= _FEW_BYTES else [[item] for item in few]:
            first = some[0]
            rows = [await long_rows.read(cast("Read", work), first)] if is_long(first) else list(map(work, some))
            made += rows
            chars += sum([error_chars(row.error) for row in rows if isinstance(row, Report) and row.error is not None])
            if len(made) == size or chars > ERROR_CHARS_MAX:
                yield made
                made, until, chars = [], clock() + TURN_S, 0
            elif clock() > until:
                until = await next_turn()
    if made:
        yield made


def _bytes_of(items: Sequence[object]) -> int:
    """How many bytes are still to be read; 0 for rows that were read before."""
    return sum(map(len, cast("Sequence[Row]", items))) if isinstance(items[0], bytes | msgspec.Raw) else 0


def error_chars(error: ErrorReport) -> int:
    """How much text an error is, which is sealed and stored with its call."""
    chars = len(error.message or "")
    if error.parameters:
        chars += sum([len(value) for value in error.parameters.values() if isinstance(value, str)])
    return chars


def is_long_to_admit(report: Report) -> bool:
    """Whether admitting the report may take more than a turn: it has a long error text, or much to compare it with."""
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
    until = clock() + TURN_S
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: _Made = end.value
            return made
        if clock() > until:
            until = await next_turn()


BATCH_ERROR_CHARS: Final = 2**17
"""Error text that one commit stores with its first job: a kibibyte of it takes the database as long as some calls."""

SMALL_ROWS: Final = 50
SMALL_CHARS: Final = 2**13
_SMALL_ROWS_MAX: Final = 500


@dataclass(slots=True, eq=False)
class Job:
    """Calls of one request that are stored together. `done` is set once each has its outcome."""

    calls: list[Prepared]
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    error_chars: int = field(init=False)

    def __post_init__(self) -> None:
        errors = [call.report.error for call in self.calls if call.report.error is not None]
        self.error_chars = sum(map(error_chars, errors))

    @property
    def is_small(self) -> bool:
        """Whether the job may join a batch that has its rows already."""
        return len(self.calls) <= SMALL_ROWS and self.error_chars <= SMALL_CHARS


class JobQueue:
    """Jobs in the order in which they came. `batch_rows`: calls of one batch, but for small jobs beside them."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Put `job` at the end of the queue."""
        self._jobs.append(job)

    def take(self) -> list[Job]:
        """The next batch: the oldest job, those that fit in with it, and small ones that would wait behind others."""
        taken: list[Job] = []
        left: list[Job] = []
        rows = chars = small_rows = 0
        while self._jobs and small_rows < _SMALL_ROWS_MAX:
            job = self._jobs.popleft()
            size = len(job.calls)
            if not taken or (rows + size <= self._batch_rows and chars + job.error_chars <= BATCH_ERROR_CHARS):
                taken.append(job)
                rows, chars = rows + size, chars + job.error_chars
            elif job.is_small:
                taken.append(job)
                small_rows += size
            else:
                left.append(job)
        self._jobs.extendleft(reversed(left))
        return taken
