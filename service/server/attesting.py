"""Statements of retention that keys have asked for are made by processes of their own, one after the other.

A statement looks at every key and entry, and at each row that may have changed. Here its work would keep requests
waiting, and what it takes of memory would stay taken.
"""

import asyncio
import contextlib
import os
import sys
from typing import Final
from uuid import UUID

from service.logs import get_logger
from service.retention.audit.attestation.requests import forget_old
from service.runtime.runtime import Runtime
from service.storage.control.attestations import end_unmade, next_attestation
from service.tasks import set_within

log = get_logger()

EVERY_S: Final = 60.0
RUN_MAX_S: Final = 24 * 3600.0
"""A process that takes longer hangs, and nobody could ask for another statement meanwhile."""
_STOP_S: Final = 10.0
_ENDED: Final = "the process that was to make it has ended: the log says more"


async def attest_for_ever(runtime: Runtime, asked: asyncio.Event, *, every_s: float = EVERY_S) -> None:
    """Make the statements that wait and forget old ones, and again whenever `asked` is set or `every_s` have passed,
    until cancelled.
    """
    while True:
        asked.clear()
        try:
            await forget_old(runtime.retention)
            while (id_ := await next_attestation(runtime.database.owner)) is not None:
                await _make(runtime, id_)
        except Exception:  # a loop that has ended would leave all that is asked for in the queue
            log.exception("statements of retention have to be tried again")
        await set_within(asked, every_s)


async def _make(runtime: Runtime, id_: UUID) -> None:
    """Have a process make one statement, and wait until it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "attest", "--queued", str(id_)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env=os.environ | {"CALLEDGER_DATA": str(runtime.settings.data)},
    )
    try:
        async with asyncio.timeout(RUN_MAX_S):
            await process.wait()
    except TimeoutError:
        log.error("a statement of retention is not made within a day: its process is ended", run=str(id_))
    finally:
        await _end(process)
    # Nothing happens to one that was made.
    await end_unmade(runtime.database.owner, id_, _ENDED)
    log.info("a statement of retention was worked at", run=str(id_), code=process.returncode)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process, if it has not ended: the service ends, and the database may end with it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
