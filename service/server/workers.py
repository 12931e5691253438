"""The processes that answer on one port: they are started, replaced when they end by themselves, and ended."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from prometheus_client.multiprocess import mark_process_dead

from service.errors import ServiceError
from service.logs import get_logger
from service.server.process_metrics import METRICS
from service.settings import PREFIX, Settings
from service.tasks import background

log = get_logger()

READY: Final = "ready"
"""What a worker prints once it accepts requests."""
RESTARTS_MAX: Final = 5
"""So often a worker is replaced that ends at once, where no other is left to answer."""
STEADY_S: Final = 30.0
"""A worker that has lived for so long was well: another takes its place at once."""
_PAUSE_MAX_S: Final = 30.0
# Twice the time that a worker itself allows for the requests under way.
_STOP_S: Final = 40.0
# Files that a process reads at its start: a later worker must not answer by another content than its neighbours.
_FILES: Final = ("trusted_documents", "prices")


@asynccontextmanager
async def workers(settings: Settings, url: str, port: int, stop: asyncio.Event) -> AsyncIterator[None]:
    """Have `settings.workers` processes answer on `port` during the block, with the database at `url`.

    Raises ServiceError when one cannot be started at first. One that ends by itself is replaced. When none can be kept
    alive, `stop` is set and ServiceError raised at the end of the block, so that the operator's supervisor hears of it.
    """
    with tempfile.TemporaryDirectory(prefix="calledger-") as folder:
        workers = _Workers(settings, url, port, Path(folder), stop)
        try:
            await workers.start()
            async with background([workers.keep(number) for number in range(settings.workers)]):
                yield
            if workers.is_given_up:
                raise ServiceError("worker processes end again and again; their messages are above")
        finally:
            await workers.end()


class _Workers:
    """All workers of a service, by number."""

    def __init__(self, settings: Settings, url: str, port: int, folder: Path, stop: asyncio.Event) -> None:
        self.is_given_up = False
        self._metrics = folder / "metrics"
        self._metrics.mkdir()
        self._stop = stop
        self._processes: list[asyncio.subprocess.Process] = []
        self._environment = os.environ | {
            "CALLEDGER_WORKER_URL": url,
            "CALLEDGER_DATA": str(settings.data),
            "CALLEDGER_HOST": settings.host,
            "CALLEDGER_PORT": str(port),
            METRICS: str(self._metrics),
            **_as_read_now(settings, folder),
        }

    async def start(self) -> None:
        """Start all of them, and return when they accept requests. Raises ServiceError."""
        self._processes = [await self._started() for _ in range(int(self._environment["CALLEDGER_WORKERS"]))]
        for process in self._processes:
            if not await _is_ready(process):
                raise ServiceError("a worker process did not start; its message is above")

    async def keep(self, number: int) -> None:
        """Replace the worker of this number whenever it ends, the later the more often it ends at once."""
        short_lived, began = 0, time.monotonic()
        while True:
            process = self._processes[number]
            code = await process.wait()
            # Its counters stay, and what it had open or queued does not.
            mark_process_dead(process.pid, str(self._metrics))
            short_lived = 0 if time.monotonic() - began >= STEADY_S else short_lived + 1
            if short_lived > RESTARTS_MAX and all(one.returncode is not None for one in self._processes):
                self.is_given_up = True
                self._stop.set()
                return
            log.error("a worker process ended by itself, and another takes its place", pid=process.pid, code=code)
            if short_lived > 1:
                await asyncio.sleep(min(_PAUSE_MAX_S, 2 ** (short_lived - 2)))
            began = time.monotonic()
            process = self._processes[number] = await self._started()
            if await _is_ready(process):
                log.info("a worker process has taken the place of another", pid=process.pid)

    async def end(self) -> None:
        """End all of them."""
        await asyncio.gather(*map(_end, self._processes))

    async def _started(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "work"), stdin=pipe, stdout=pipe, env=self._environment
        )


def _as_read_now(settings: Settings, folder: Path) -> dict[str, str]:
    """Variables of the files that workers read, with copies in `folder`. What cannot be read is left to the worker,
    which says so.
    """
    copies = {"CALLEDGER_WORKERS": str(settings.workers)}
    for name in _FILES:
        path: Path | None = getattr(settings, name)
        if path is not None:
            with contextlib.suppress(OSError):
                copies[PREFIX + name.upper()] = str(shutil.copy(path, folder / f"{name}-{path.name}"))
    return copies


async def _is_ready(process: asyncio.subprocess.Process) -> bool:
    """Wait until it accepts requests; False when it has ended before."""
    assert process.stdout is not None, "it is a pipe"
    return (await process.stdout.readline()).decode().strip() == READY


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        log.error("a worker process did not end and is killed")
        process.kill()
        await process.wait()
