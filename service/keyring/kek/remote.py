"""What key-encryption keys on other hosts share: blocking clients in threads of their own, with bounded waits.

After a failure the key is not asked again for a while, so that an outage costs one wait per pause instead of one per
key.
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


class KekUnavailableError(Exception):
    """The key cannot be reached, is busy, or refuses us; the message says which, without secrets."""


class RemoteKek(ABC):
    """A `Kek` over a blocking client. Subclasses say how to wrap and unwrap, and raise `KekUnavailableError`."""

    def __init__(self, description: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._description = description
        self._clock = clock
        self._unavailable_until: float | None = None
        self._reason = ""
        # Not the event loop's own threads: an outage must not hold up other work there.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="calledger-kek")

    def describe(self) -> str:
        """Which key at which provider, for `status`."""
        return self._description

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """`key` wrapped by the provider and bound to `context`."""
        return await self._run_in_thread(self._wrap, key, context)

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The key in `wrapped`; `UnwrapError` if the provider does not accept it for this context."""
        return await self._run_in_thread(self._unwrap, wrapped, context)

    async def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The same key under the provider's newest version of the key-encryption key."""
        return await self._run_in_thread(self._rewrap, wrapped, context)

    @abstractmethod
    def _wrap(self, key: bytes, context: bytes) -> bytes:
        """`key` wrapped; blocks. Raises `KekUnavailableError`, `KekError`."""

    @abstractmethod
    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key in `wrapped`; blocks. Raises `KekUnavailableError`, `KekError`, `UnwrapError`."""

    def _rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The same key wrapped anew; blocks. For providers that have no operation of their own for it.

        Raises `KekUnavailableError`, `KekError`, `UnwrapError`.
        """
        return self._wrap(self._unwrap(wrapped, context), context)

    async def _run_in_thread(self, operation: Callable[[bytes, bytes], bytes], content: bytes, context: bytes) -> bytes:
        if self._unavailable_until is not None and self._clock() < self._unavailable_until:
            raise self._unavailable()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, operation, content, context)
        except KekUnavailableError as error:
            self._reason, self._unavailable_until = str(error), self._clock() + PAUSE_S
            raise self._unavailable() from error
        self._unavailable_until = None
        return answer

    def _unavailable(self) -> KeyringUnavailableError:
        return KeyringUnavailableError(f"{self._description} cannot be used now: {self._reason}")


def optional_module(name: str, *, extra: str) -> ModuleType:
    """The module `name` of an optional package. Raises `KekError` that names the extra which installs it."""
    try:
        return import_module(name)
    except ImportError:
        raise KekError(
            f"this key-encryption key needs a package that is not installed: pip install 'calledger[{extra}]'"
        ) from None
