"""One process of all services on a database does what needs to be done once: an advisory lock says which."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import asyncpg

from service.logs import get_logger
from service.storage.connection import Connection
from service.storage.notifications import UNAVAILABLE
from service.storage.schema.guard import is_newest
from service.tasks import background

log = get_logger()

LOCK: Final = 0x63616C6C_0031
"""The advisory lock of the process that maintains the ledger."""
_OLDER_NAME: Final = "calledger maintenance"
NAME: Final = "calledger maintenance 2"
"""The `application_name` of the connection of every service, elected or not; with the number it knows packs of
keys and days without sums."""
LOOK_S: Final = 2.0
"""How often the others look whether it is still there."""
HEARTBEAT_S: Final = 5.0
SILENT_S: Final = 20.0
"""After so long without a beat PostgreSQL ends its session: the machine was lost, or the process hangs."""
_CLOSE_TIMEOUT_S: Final = 2.0
_TRY: Final = "SELECT pg_try_advisory_lock($1)"
_OLDER: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1)
"""
"""Whether a service of a version runs that looks for each key in a file of its own."""


async def older_service_runs(connection: Connection | asyncpg.Pool) -> bool:
    """Whether a service runs on this database that is older than packs of keys and days without sums: it would miss
    keys and calls.
    """
    return await connection.fetchval(_OLDER, _OLDER_NAME)


async def work_while_elected(
    url: str,
    work: Callable[[], list[Coroutine[Any, Any, None]]],
    *,
    may: Callable[[Connection], Awaitable[bool]] = is_newest,
    look_s: float = LOOK_S,
    heartbeat_s: float = HEARTBEAT_S,
    silent_s: float = SILENT_S,
) -> None:
    """Run the endless `work` whenever this process is the elected one, until cancelled.

    It is elected for as long as its connection lives, and as it `may`: during an upgrade a service of an older version
    goes on answering, but what it would sum and purge it may not know in full any more. For a moment two may think that
    they are, so what they do has to be safe beside itself: each piece of it has a lock of its own.
    """
    session = {"application_name": NAME, "idle_session_timeout": f"{round(silent_s * 1000)}"}
    while True:
        with suppress(*UNAVAILABLE):
            connection = await asyncpg.connect(url, server_settings=session)
            try:
                while not (await may(connection) and await connection.fetchval(_TRY, LOCK)):  # noqa: ASYNC110
                    await asyncio.sleep(look_s * (0.8 + 0.4 * random.random()))  # noqa: S311 - spread
                log.info("this service maintains the ledger from now on")
                async with background(work()):
                    await _heartbeats(connection, heartbeat_s, may)
                log.warning("a newer version has migrated the database: it maintains the ledger from now on")
            finally:
                with suppress(*UNAVAILABLE):
                    await connection.close(timeout=_CLOSE_TIMEOUT_S)
        await asyncio.sleep(look_s)


async def _heartbeats(connection: Connection, heartbeat_s: float, may: Callable[[Connection], Awaitable[bool]]) -> None:
    """Tell PostgreSQL again and again that this process is there, for as long as it may work.

    Raises the driver's error when it is not heard.
    """
    while True:
        await asyncio.sleep(heartbeat_s)
        async with asyncio.timeout(heartbeat_s):
            if not await may(connection):
                return
