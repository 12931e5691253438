"""What every keyring does, wherever its keys are stored."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from service.keyring.names import KeyName, PeriodKeyName

SECRETS: Final = ("pepper", "cursor", "signer")
"""Secrets that a keyring has from its creation: for API keys (HMAC), cursors (AEAD), the ledger (Ed25519 seed)."""
SUCCESSOR: Final = "successor"
"""The secret that exists once a successor of the ledger's signer was made."""
HEAD: Final = "head"
"""The entry that exists once the ledger was signed: its length then, and the beginning of its root hash."""


class KeyMemory(Protocol):
    """Unwrapped keys that are kept for a while. `generation` rises whenever something is forgotten."""

    generation: int

    def get(self, name: Hashable) -> bytes | None:
        """The key, if it is there and young enough; else None."""
        ...

    def put(self, name: Hashable, key: bytes, *, generation: int) -> None:
        """Keep a key that was fetched in `generation`; one from an older generation is not kept."""
        ...

    def forget(self, name: Hashable) -> None:
        """Drop one key."""
        ...

    def clear(self) -> None:
        """Drop all keys."""
        ...


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many keys exist, and how many existed and were destroyed on purpose."""

    live: int = 0
    destroyed: int = 0


@dataclass(frozen=True, slots=True)
class KeyringCounts:
    """Counts by (tier, data class), and of the keys of accounts and of legal holds."""

    periods: Mapping[tuple[int, str], KeyCounts] = field(default_factory=dict[tuple[int, str], KeyCounts])
    accounts: KeyCounts = KeyCounts()
    holds: KeyCounts = KeyCounts()


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. `wrapped_by`: the key-encryption key that now wraps everything, in words."""

    wrapped_by: str
    rewrapped: int


BeforeMinting = Callable[[KeyName, bool], Awaitable[None]]
"""Called before a key is made, with its name and whether this process has used one of that name.

If it raises, no key is made.
"""
OnStep = Callable[[int, int], None]
"""Called with how many keys were processed, and how many there are."""


def nobody_watches(_: int, __: int) -> None:
    """The `OnStep` that does nothing."""


class Keyring(Protocol):
    """Gives out keys of 32 bytes by name. A destroyed name never has a key again.

    Every method may raise `KeyringUnavailableError`. An answer is right at the moment it is given: a caller that keeps
    a key must forget it when its destruction is announced.
    """

    @property
    def id(self) -> UUID:
        """The keyring's own id, made with it."""
        ...

    @property
    def unavailable_reason(self) -> str | None:
        """Why the keyring could not be opened yet, as one sentence; None once it was."""
        ...

    def describe(self) -> str:
        """Where the keys are stored and what wraps them, in words for `status`; never a secret."""
        ...

    async def bind(self, database_id: UUID) -> None:
        """Tie the keyring to one database on first use; `KeyringForeignError` for any other ever after."""
        ...

    async def key(self, name: KeyName, *, mint: bool) -> bytes:
        """The key of this name, 32 bytes, made if there is none and `mint` is set.

        Raises `KeyDestroyedError` or `KeyLostError` when there is none.
        """
        ...

    async def check(self) -> None:
        """Return if the keyring is where it was opened; otherwise raise `KeyringError` or `KeyringUnavailableError`."""
        ...

    async def secret(self, name: str) -> bytes:
        """One of `SECRETS`; `KeyLostError` when the keyring has lost it."""
        ...

    async def signers(self) -> tuple[bytes, ...]:
        """The seed of the ledger's signer and, if one was made, of its successor, as the keyring has them now."""
        ...

    async def new_successor(self) -> bytes:
        """Make a successor of the ledger's signer, in place of an earlier successor. Returns its seed."""
        ...

    async def promote_successor(self) -> None:
        """Make the successor the ledger's signer. The old signer's seed is gone from then on."""
        ...

    async def head(self) -> bytes | None:
        """The 32 bytes that `note_head` stored last: the state of the ledger when it was last signed. None
        before that.
        """
        ...

    async def note_head(self, head: bytes) -> None:
        """Store 32 bytes about the ledger's state, in place of those before."""
        ...

    async def destroy(self, names: Iterable[KeyName]) -> int:
        """Destroy these keys, and so everything that was ever sealed with them, whether they exist or not: none is made
        later. Returns how many existed.
        """
        ...

    async def tombstones(self) -> list[str]:
        """The names of all destroyed keys, in the order of destruction."""
        ...

    async def replay(self, tombstones: Iterable[str]) -> int:
        """Destroy again what an older copy of the keyring brought back. Returns how many keys existed."""
        ...

    async def periods(self) -> list[PeriodKeyName]:
        """The names of the period keys that exist, sorted."""
        ...

    async def names(self) -> list[KeyName]:
        """The names of all keys that exist, without the secrets."""
        ...

    async def counts(self) -> KeyringCounts:
        """How many keys exist and how many were destroyed, by group."""
        ...

    async def rotate(self, to: str, *, on_step: OnStep = nobody_watches) -> Rotation:
        """Wrap everything under the key-encryption key at `to`, or continue an earlier call that was interrupted.

        Raises `KekError` if that key is unfit, `KeyringDamagedError` when there are keys that nothing unwraps.
        """
        ...

    async def pack(self) -> int:
        """Pack the keys of accounts and periods that an earlier version stored one by one; how many.

        From the first call on, programs that know no packs cannot use the keyring.
        """
        ...

    def before_minting(self, hook: BeforeMinting) -> None:
        """Have `hook` called before a key is made, from now on."""
        ...

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        """Drop unwrapped keys from memory: these, or all when none is named."""
        ...

    async def close(self) -> None:
        """Drop all unwrapped keys and the connections to the key store."""
        ...
