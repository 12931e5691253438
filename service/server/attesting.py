"""Statements of retention that keys have asked for are made by processes of their own, one after the other.

A statement looks at every row, key and entry. Here its work would keep requests waiting, and what it takes of memory
would stay taken.
"""

import asyncio
import contextlib
import os
import sys
from typing import Final
from uuid import UUID

from service.logs import get_logger
from service.runtime.runtime import Runtime
from service.storage.control.attestations import end_unmade, next_attestation
from service.tasks import set_within

log = get_logger()

EVERY_S: Final = 60.0
_STOP_S: Final = 10.0
_ENDED: Final = "the process that was to make it has ended: the log says more"


async def attest_for_ever(runtime: Runtime, asked: asyncio.Event) -> None:
    """Make the statements that wait, and again whenever `asked` is set or a minute has passed, until cancelled."""
    while True:
        asked.clear()
        try:
            while (id_ := await next_attestation(runtime.database.owner)) is not None:
                await _make(runtime, id_)
        except Exception:  # a loop that has ended would leave all that is asked for in the queue
            log.exception("statements of retention have to be tried again")
        await set_within(asked, EVERY_S)


async def _make(runtime: Runtime, id_: UUID) -> None:
    """Have a process make one statement, and wait until it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "attest", "--queued", str(id_)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env=os.environ | {"CALLEDGER_DATA": str(runtime.settings.data)},
    )
    try:
        code = await process.wait()
    finally:
        await _end(process)
    # Nothing happens to one that was made.
    await end_unmade(runtime.database.owner, id_, _ENDED)
    log.info("a statement of retention was worked at", run=str(id_), code=code)


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
