"""What a home of wrapped keys does: a directory, or a PostgreSQL of its own. It never sees a key unwrapped.

An entry is the format's number (1 byte), the id of the key-encryption key (8 bytes) and the wrapped key. It is named as
the key is, or `secret/pepper`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from service.keyring.metadata import KEK_ID_BYTES, KekRecord, Metadata
from service.keyring.names import KeyName

ENTRY_FORMAT: Final = b"\x01"
HEADER_BYTES: Final = len(ENTRY_FORMAT) + KEK_ID_BYTES


class StaleKekError(Exception):
    """The keyring is wrapped by another key-encryption key by now: read its metadata again."""


def kek_id_of(entry: bytes) -> bytes:
    """Which key-encryption key an entry was wrapped by."""
    return entry[len(ENTRY_FORMAT) : HEADER_BYTES]


class KeyStore(Protocol):
    """Every method but `place` and `watch` may raise `KeyringUnavailableError`."""

    @property
    def place(self) -> str:
        """Where it is, in words; never a password."""
        ...

    def watch(self, forget: Callable[[], None]) -> None:
        """Have `forget` called when somebody else destroyed keys, or may have."""
        ...

    async def metadata(self) -> Metadata:
        """As it is now. `KeyringMissingError`, `KeyringDamagedError`."""
        ...

    async def take_up(self, keks: Sequence[KekRecord], *, expected: Metadata) -> bool:
        """Replace the list of key-encryption keys, unless somebody else did so since `expected`."""
        ...

    async def bind(self, database_id: UUID) -> str:
        """Note the database that the keyring belongs to, if none is noted. Returns the one that is."""
        ...

    def still_there(self, name: KeyName) -> bool:
        """Whether a key in memory may still be used. Asked for every use, so it neither waits nor costs much."""
        ...

    async def read(self, name: str) -> bytes | None:
        """The entry of that name."""
        ...

    async def is_destroyed(self, name: KeyName) -> bool:
        """Whether there is a tombstone of that name."""
        ...

    async def publish(self, name: KeyName, entry: bytes) -> None:
        """Put a new entry there, unless there is one, or a tombstone. `StaleKekError` if the wrong key wraps it."""
        ...

    async def replace(self, name: str, old: bytes, new: bytes) -> bool:
        """Put `new` in the place of `old`, whole or not at all, unless something else is there by now."""
        ...

    async def put_secret(self, name: str, entry: bytes, *, instead: bytes | None) -> bool:
        """Put a secret's entry in the place of `instead` (None: of nothing), whole or not at all, unless something else
        is there by now. `StaleKekError` if the wrong key wraps it."""
        ...

    async def destroy(self, names: Sequence[KeyName]) -> int:
        """Bury the names and remove their entries, in this order. Returns how many entries there were."""
        ...

    async def tombstones(self) -> Mapping[KeyName, bool]:
        """All tombstones in the order of destruction; the value says whether there was a key then."""
        ...

    async def names(self) -> Iterable[KeyName]:
        """The names of all entries that are not buried, secrets left out."""
        ...

    async def close(self) -> None:
        """Let go of whatever connects to the home."""
        ...
