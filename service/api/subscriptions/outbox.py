"""The messages that wait to be sent on one connection: their number is bounded, and one task sends them.

A reader that does not keep up gets the reason why it gets no more, if it still reads.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

MESSAGES_MAX: Final = 2_000
CHARACTERS_MAX: Final = 2**22
SEND_S: Final = 10.0
"""How long one message may take to go out."""


class Outbox:
    """The messages of one connection. `send` sends one; `run` it once, for as long as the connection lives."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._messages: deque[str] = deque()
        self._characters = 0
        self._filled = asyncio.Event()
        self._closing = False

    def offer(self, message: str) -> bool:
        """Whether there was room for one more message."""
        if len(self._messages) >= MESSAGES_MAX or self._characters + len(message) > CHARACTERS_MAX:
            return False
        self._messages.append(message)
        self._characters += len(message)
        self._filled.set()
        return True

    def instead(self, messages: list[str]) -> None:
        """Send these in place of what waits."""
        self._messages = deque(messages)
        self._characters = sum(map(len, messages))
        self._filled.set()

    def close(self) -> None:
        """Let `run` end when all that waits is sent."""
        self._closing = True
        self._filled.set()

    async def run(self) -> None:
        """Send until `close`. TimeoutError for a reader that takes nothing, ConnectionError when it is gone."""
        while True:
            while self._messages:
                message = self._messages.popleft()
                self._characters -= len(message)
                async with asyncio.timeout(SEND_S):
                    await self._send(message)
            if self._closing:
                return
            self._filled.clear()
            await self._filled.wait()
