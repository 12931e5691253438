"""Gives committed changes their positions in the feed, all the time while the service runs.

Any number of processes do so; the locked head lets one work at a time. The connection is one of its own, so that no
long work of the owner's delays the feed.
"""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg
from prometheus_client import Gauge

from service.logs import get_logger
from service.storage.connection import Connection, one_row
from service.storage.notifications import UNAVAILABLE, notify
from service.storage.statements.changes import ARE_UNNUMBERED, BEGIN_EPOCH, LOCK_HEAD, NUMBER, UNNUMBERED

STEP_ROWS: Final = 5_000
"""Rows that one transaction numbers at most."""
PAUSE_S: Final = 0.1
IDLE_S: Final = 0.5
_RETRY_S: Final = 1.0
_CLOSE_TIMEOUT_S: Final = 2.0

POSITION = Gauge("calledger_feed_position", "The newest position of the change feed", multiprocess_mode="mostrecent")
LAG = Gauge(
    "calledger_feed_lag_seconds",
    "From the begin of a write to its place in the change feed, of the oldest that was numbered last",
    multiprocess_mode="mostrecent",
)

log = get_logger()


async def number_changes(connection: Connection, *, rows: int = STEP_ROWS) -> int:
    """Give at most `rows` rows of committed changes their positions, durably; returns how many rows it were."""
    if not await connection.fetchval(ARE_UNNUMBERED):
        return 0
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL synchronous_commit = on")
        head = await one_row(connection, LOCK_HEAD)
        if head["history"] != head["history_now"]:
            await connection.execute(BEGIN_EPOCH, head["position"] + 1, head["history_now"])
        done = await one_row(connection, NUMBER, head["position"], head["recorded_at"], rows)
    if done["rows"]:
        POSITION.set(done["position"])
        LAG.set(max((head["recorded_at"] - done["oldest"]).total_seconds(), 0.0))
        await notify(connection, "changes")
    return done["rows"]


async def number_for_ever(url: str, *, wake: asyncio.Event) -> None:
    """Number changes until cancelled: at once when `wake` is set, and otherwise twice per second.

    No error ends it: what is not numbered now is numbered by the next attempt, here or in another process.
    """
    while True:
        try:
            connection = await asyncpg.connect(url, server_settings={"application_name": "calledger", "jit": "off"})
        except UNAVAILABLE:
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            await _number_on(connection, wake)
        except UNAVAILABLE as error:
            log.warning("changes are not numbered for now", error=type(error).__name__)
            await asyncio.sleep(_RETRY_S)
        finally:
            with suppress(*UNAVAILABLE):
                await connection.close(timeout=_CLOSE_TIMEOUT_S)


async def _number_on(connection: Connection, wake: asyncio.Event) -> None:
    while True:
        wake.clear()
        if await number_changes(connection):
            await asyncio.sleep(PAUSE_S)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await wake.wait()


async def unnumbered(connection: Connection | asyncpg.Pool) -> tuple[int, float, int]:
    """How many changes wait for their position, the seconds that the oldest has waited, and the newest position."""
    row = await one_row(connection, UNNUMBERED)
    return row["changes"], row["age_s"] or 0.0, row["position"]
