"""What key-encryption keys that live elsewhere share: blocking clients in threads of their own, and patience in bounds.

After a failure nobody asks again for a while, so that an outage costs one wait now and then instead of one a key.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Final

from service.keyring.errors import KekError, KeyringUnavailableError

CONNECT_S: Final = 2.0
READ_S: Final = 4.0
PAUSE_S: Final = 5.0
_THREADS: Final = 8


class AwayError(Exception):
    """The key's home cannot be reached, is busy, or refuses us; the message says which, without secrets."""


class RemoteKek(ABC):
    """A `Kek` over a blocking client: subclasses say how to wrap and unwrap, and raise `AwayError` where it is away."""

    def __init__(self, description: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._description = description
        self._clock = clock
        self._away_until: float | None = None
        self._reason = ""
        # Not the loop's own threads: an outage must not hold up what else runs there.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="calledger-kek")

    def describe(self) -> str:
        return self._description

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        return await self._ask(self._wrap, key, context)

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        return await self._ask(self._unwrap, wrapped, context)

    async def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        return await self._ask(self._rewrap, wrapped, context)

    @abstractmethod
    def _wrap(self, key: bytes, context: bytes) -> bytes:
        """Blocks. Raises AwayError, KekError."""

    @abstractmethod
    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Blocks. Raises AwayError, KekError, UnwrapError."""

    def _rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Blocks. Raises AwayError, KekError, UnwrapError. For homes that have no operation of their own for it."""
        return self._wrap(self._unwrap(wrapped, context), context)

    async def _ask(self, work: Callable[[bytes, bytes], bytes], content: bytes, context: bytes) -> bytes:
        if self._away_until is not None and self._clock() < self._away_until:
            raise self._unavailable()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, work, content, context)
        except AwayError as error:
            self._reason, self._away_until = str(error), self._clock() + PAUSE_S
            raise self._unavailable() from error
        self._away_until = None
        return answer

    def _unavailable(self) -> KeyringUnavailableError:
        return KeyringUnavailableError(f"{self._description} cannot be used now: {self._reason}")


def optional_module(name: str, *, extra: str) -> ModuleType:
    """A module of an optional package. `KekError` naming the extra that brings it."""
    try:
        return import_module(name)
    except ImportError:
        raise KekError(
            f"this key-encryption key needs a package that is not installed: pip install 'calledger[{extra}]'"
        ) from None
