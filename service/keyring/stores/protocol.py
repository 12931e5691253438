"""What a key store does, in a directory or in a PostgreSQL of its own. It never sees a key unwrapped.

An entry is the format's number (1 byte), the id of the key-encryption key (8 bytes) and the wrapped key: wrapped by
that key itself (1), or by a pack key that was made under it (2). Its name is the key's name, `secret/pepper` and the
like, or that of a pack key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from service.keyring.metadata import KEK_ID_BYTES, Metadata
from service.keyring.names import KeyName
from service.keyring.stores.packs import pack_slot_of

ENTRY_FORMAT: Final = b"\x01"
PACKED_FORMAT: Final = b"\x02"
HEADER_BYTES: Final = len(ENTRY_FORMAT) + KEK_ID_BYTES
PACKED_BYTES: Final = HEADER_BYTES + 60
"""The length of an entry that a pack key wraps: AES-256-GCM of 32 bytes, with its nonce and tag."""


class StaleKekError(Exception):
    """The keyring is wrapped by another key-encryption key by now: read its metadata again."""


def kek_id_of(entry: bytes) -> bytes:
    """The 8-byte id of the key-encryption key that wrapped an entry."""
    return entry[len(ENTRY_FORMAT) : HEADER_BYTES]


def is_packed(entry: bytes) -> bool:
    """Whether a pack key wraps what is in an entry."""
    return entry[: len(PACKED_FORMAT)] == PACKED_FORMAT


def is_stale(name: KeyName, entry: bytes, metadata: Metadata) -> bool:
    """Whether a new key would be wrapped otherwise by now."""
    packs = metadata.packs and pack_slot_of(name) is not None
    return metadata.current.id != kek_id_of(entry) or is_packed(entry) != packs


class KeyStore(Protocol):
    """Stores wrapped keys by name. Every method but `location` and `watch` may raise `KeyringUnavailableError`."""

    @property
    def location(self) -> str:
        """Where the store is, in words; never a password."""
        ...

    def watch(self, forget: Callable[[], None]) -> None:
        """Have `forget` called when another process destroyed keys, or may have."""
        ...

    async def metadata(self) -> Metadata:
        """the metadata as it is now. Raises `KeyringMissingError`, `KeyringDamagedError`."""
        ...

    async def replace_metadata(self, metadata: Metadata, *, expected: Metadata) -> bool:
        """Replace the metadata. Returns False if it is no longer `expected`."""
        ...

    async def bind(self, database_id: UUID) -> str:
        """Store the database that the keyring belongs to, unless one is stored. Returns the one that is."""
        ...

    def still_there(self, name: KeyName) -> bool:
        """Whether a key in memory may still be used. Called for every use, so it must be fast and not wait."""
        ...

    async def read(self, name: str) -> bytes | None:
        """The entry of that name; None if there is none."""
        ...

    async def is_destroyed(self, name: KeyName) -> bool:
        """Whether there is a tombstone of that name."""
        ...

    async def publish(self, name: KeyName, entry: bytes) -> None:
        """Add an entry, unless there is one, or a tombstone. `StaleKekError` if it `is_stale`."""
        ...

    async def replace(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace the entry `old` by `new` atomically. Returns False if something else is there by now."""
        ...

    async def put_secret(self, name: str, entry: bytes, *, instead: bytes | None) -> bool:
        """Replace the entry `instead` (None: there is none yet) of a secret or a pack key atomically.

        Returns False if something else is there by now. `StaleKekError` if the wrong key wraps the new entry.
        """
        ...

    async def destroy(self, names: Sequence[KeyName]) -> int:
        """Add tombstones, then remove the entries. Returns how many entries there were."""
        ...

    async def tombstones(self) -> Mapping[KeyName, bool]:
        """All tombstones in the order of destruction; the value says whether there was a key then."""
        ...

    async def names(self) -> Iterable[KeyName]:
        """The names of all entries that have no tombstone, without the secrets and the pack keys."""
        ...

    async def directly_wrapped(self) -> Iterable[str]:
        """The names of all entries that a key-encryption key wraps itself, and that have no tombstone."""
        ...

    async def close(self) -> None:
        """Close the connections to the store."""
        ...
