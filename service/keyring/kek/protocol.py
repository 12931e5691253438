"""What every key-encryption key does: it wraps the keys of a keyring."""

from typing import Protocol


class UnwrapError(Exception):
    """The content was not wrapped by this key for this context, or was altered since."""


class Kek(Protocol):
    """Wraps 32-byte keys. This service never destroys it: its owner does, where it is kept.

    Every method but `describe` may raise `KeyringUnavailableError` when the key cannot be reached or refuses us for
    now, and `KekError` when there is no such key.
    """

    def describe(self) -> str:
        """Which key this is, in words for `status`; never a secret."""
        ...

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """`key` wrapped, and bound to `context`."""
        ...

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The key in `wrapped`; `UnwrapError` if key-encryption key, context or any bit differ."""
        ...

    async def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The same key under the newest version of the key-encryption key, without unwrapping it here if possible."""
        ...
