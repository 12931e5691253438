"""What waits for the writer, and which of it one commit stores: nobody waits for all of what another client brought."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from service.ingest.pipeline.turns import error_chars
from service.ingest.preparation.prepared import Prepared

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
        return len(self.calls) <= SMALL_ROWS and self.error_chars <= SMALL_CHARS


class JobQueue:
    """Jobs in the order in which they came. `batch_rows`: calls of one batch, but for small jobs beside them."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
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
