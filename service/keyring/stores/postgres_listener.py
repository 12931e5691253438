"""Listens for keys that other processes destroyed, on one connection, and shows by a pulse that it still does."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import asyncpg

from service.keyring.stores import postgres_schema as sql
from service.tasks import set_within

PULSE_S: Final = 10.0
TRUST_S: Final = 30.0
_RETRY_S: Final = 1.0
_TIMEOUT_S: Final = 5.0
UNREACHABLE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a statement raises when the server is gone or refuses us for now."""


class NotificationListener:
    """Calls `on_notification` at every announcement, and whenever one may have been missed."""

    def __init__(self, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._heard_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_notification: Callable[[], None] = lambda: None

    def is_listening(self) -> bool:
        """Whether a destruction by another process would be known by now, within `TRUST_S` seconds."""
        return self._heard_at is not None and self._clock() - self._heard_at < TRUST_S

    async def start(self) -> None:
        """Begin to listen. If the server can be reached, it is listening when this returns."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._listen_for_ever(first), name="calledger keyring listener")
        await set_within(first, _TIMEOUT_S)

    async def stop(self) -> None:
        """Stop listening and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen_for_ever(self, first: asyncio.Event) -> None:
        while True:
            with suppress(*UNREACHABLE):
                await self._listen(first)
            await asyncio.sleep(_RETRY_S)

    async def _listen(self, first: asyncio.Event) -> None:
        connection = await asyncpg.connect(self._address, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
        ended = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(sql.CHANNEL, lambda *_: self.on_notification())
            # Notifications that were sent while nobody listened are not repeated.
            self.on_notification()
            while not ended.is_set():
                self._heard_at = self._clock()
                first.set()
                await set_within(ended, PULSE_S)
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()
