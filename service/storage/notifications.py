"""Notifications by which a command lets running services know of a change: NOTIFY on one channel."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Literal

import asyncpg

from service.logs import get_logger
from service.storage.connection import Connection
from service.tasks import background

CHANNEL = "calledger_control"
_RETRY_S: Final = 1.0
_CLOSE_TIMEOUT_S: Final = 2.0
HEARTBEAT_S: Final = 5.0
_HEARTBEAT: Final = "SELECT 1"
UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a connection of our own may fail with while the database is away."""
Topic = Literal["keys", "policy", "accounts", "purge", "ledger", "changes", "attestations"]

log = get_logger()


async def notify(connection: Connection | asyncpg.Pool, topic: Topic, detail: str = "") -> None:
    """Tell every service that `topic` has changed; `detail` says what of it, an empty one that anything may have."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{topic} {detail}".rstrip())


Reactions = Mapping[str, Callable[[], Awaitable[None]]]
Details = Mapping[str, Callable[[str], Awaitable[None]]]


async def listen_for_ever(url: str, reactions: Reactions, details: Details = MappingProxyType({})) -> None:
    """Run the reaction to each notice; after a lost connection all of them, since notices may have been missed.

    `details` are reactions to notices that say what has changed; they are called with that.
    """
    while True:
        lost = asyncio.Event()
        topics: asyncio.Queue[str] = asyncio.Queue()
        try:
            connection = await asyncpg.connect(url)
        except UNAVAILABLE:
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            connection.add_termination_listener(lambda _, event=lost: event.set())
            await connection.add_listener(CHANNEL, lambda *args, queue=topics: queue.put_nowait(args[3]))
            for topic in reactions:
                topics.put_nowait(topic)
            async with background([_heartbeats(connection, lost)]):
                await _react(topics, lost, reactions, details)
        except UNAVAILABLE:
            await asyncio.sleep(_RETRY_S)
        finally:
            with suppress(*UNAVAILABLE):
                await connection.close(timeout=_CLOSE_TIMEOUT_S)


async def _react(topics: asyncio.Queue[str], lost: asyncio.Event, reactions: Reactions, details: Details) -> None:
    gone = asyncio.create_task(lost.wait())
    following: asyncio.Task[str] | None = None
    try:
        while not gone.done():
            following = asyncio.create_task(topics.get())
            await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await _answer(following.result(), reactions, details)
    finally:
        gone.cancel()
        if following is not None:
            following.cancel()


async def _heartbeats(connection: Connection, lost: asyncio.Event) -> None:
    """Set `lost` when PostgreSQL does not answer: a connection to a machine that is gone is silent for hours."""
    while not lost.is_set():
        await asyncio.sleep(HEARTBEAT_S)
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await connection.execute(_HEARTBEAT)
        except UNAVAILABLE:
            lost.set()


async def _answer(notice: str, reactions: Reactions, details: Details) -> None:
    topic, _, detail = notice.partition(" ")
    try:
        if detail and topic in details:
            await details[topic](detail)
        elif topic in reactions:
            await reactions[topic]()
    except Exception:  # one failing reaction must not stop the listener
        log.exception("a notice could not be acted on", topic=topic)
