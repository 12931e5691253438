"""What a command changes reaches running services: PostgreSQL's NOTIFY on one channel."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import asyncpg

from service.logs import get_logger

CHANNEL = "calledger_control"
Topic = Literal["keys", "policy", "accounts", "purge", "ledger"]

log = get_logger()


async def notify(connection: asyncpg.Connection | asyncpg.Pool, topic: Topic) -> None:
    """Tell every service that `topic` has changed."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, topic)


async def listen_for_ever(url: str, reactions: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """Run the reaction to each notice; after a lost connection all of them, since notices may have been missed."""
    while True:
        lost = asyncio.Event()
        topics: asyncio.Queue[str] = asyncio.Queue()
        try:
            connection = await asyncpg.connect(url)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(1.0)
            continue
        try:
            connection.add_termination_listener(lambda _, event=lost: event.set())
            await connection.add_listener(CHANNEL, lambda *args, queue=topics: queue.put_nowait(args[3]))
            for topic in reactions:
                topics.put_nowait(topic)
            await _react(topics, lost, reactions)
        finally:
            if not connection.is_closed():
                await connection.close()


async def _react(
    topics: asyncio.Queue[str], lost: asyncio.Event, reactions: Mapping[str, Callable[[], Awaitable[None]]]
) -> None:
    gone = asyncio.create_task(lost.wait())
    try:
        while not gone.done():
            following = asyncio.create_task(topics.get())
            await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                continue
            reaction = reactions.get(following.result())
            if reaction is not None:
                try:
                    await reaction()
                except Exception:  # a reaction that fails must not end the listening
                    log.exception("a notice could not be acted on", topic=following.result())
    finally:
        gone.cancel()
