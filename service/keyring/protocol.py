"""What every keyring does, wherever its keys live."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from service.keyring.names import KeyName, PeriodKeyName

SECRETS: Final = ("pepper", "cursor", "signer")
"""Keys that a keyring has from its creation: of API keys (HMAC), of cursors (AEAD), of the ledger (Ed25519 seed)."""
SUCCESSOR: Final = "successor"
"""The secret that is there once a successor of the ledger's signer was made."""
HEAD: Final = "head"
"""What lies beside the secrets once the ledger was signed: how long it was, and the beginning of its root hash."""


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many keys are here, and how many were here and were destroyed on purpose."""

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
"""Called before a key is made, with whether this process has used one of that name; what it raises keeps it unmade."""
OnStep = Callable[[int, int], None]
"""Called with how many keys were looked at, and how many there are."""


def nobody_watches(_: int, __: int) -> None:
    """The usual `OnStep`."""


class Keyring(Protocol):
    """Keys of 32 bytes by name. A name that was destroyed never has a key again.

    Every method may raise `KeyringUnavailableError`. An answer is right at the moment it is given: whoever keeps a key
    must forget it when its destruction is announced.
    """

    @property
    def id(self) -> UUID:
        """The keyring's own id, from its creation."""
        ...

    @property
    def away(self) -> str | None:
        """Why it could not be opened yet; None once it was."""
        ...

    def describe(self) -> str:
        """Where the keys live and what wraps them, in words for `status`; never a secret."""
        ...

    async def bind(self, database_id: UUID) -> None:
        """Tie the keyring to one database on first use; `KeyringForeignError` for any other ever after."""
        ...

    async def period_key(self, tier: int, data_class: str, period: str, *, mint: bool) -> bytes:
        """The key of a tier, class and period; made if absent and `mint`. `KeyDestroyedError`, `KeyLostError`."""
        ...

    async def account_key(self, account: int, *, mint: bool) -> bytes:
        """The key of an account; made if absent and `mint`. `KeyDestroyedError`, `KeyLostError`."""
        ...

    async def hold_key(self, hold: UUID, *, mint: bool) -> bytes:
        """The key of a legal hold; made if absent and `mint`. `KeyDestroyedError`, `KeyLostError`."""
        ...

    async def erasure_key(self, erasure: UUID, *, mint: bool) -> bytes:
        """The key of an erasure; made if absent and `mint`. `KeyDestroyedError`, `KeyLostError`."""
        ...

    async def check(self) -> None:
        """Nothing, while the keyring is where it was opened; else the `KeyringError` or `KeyringUnavailableError`."""
        ...

    async def secret(self, name: str) -> bytes:
        """One of `SECRETS`; `KeyLostError` when it is gone."""
        ...

    async def signers(self) -> tuple[bytes, ...]:
        """The seed of the ledger's signer and, once one was made, of its successor, as the keyring has them now."""
        ...

    async def new_successor(self) -> bytes:
        """Make a successor of the ledger's signer, which waits, in the place of the one before. Returns its seed."""
        ...

    async def promote_successor(self) -> None:
        """Put the successor in the place of the ledger's signer, whose seed is gone from then on."""
        ...

    async def head(self) -> bytes | None:
        """The 32 bytes that `note_head` put there last: what the ledger was when it was last signed."""
        ...

    async def note_head(self, head: bytes) -> None:
        """Remember 32 bytes about the ledger, in the place of those before."""
        ...

    async def destroy_periods(self, keys: Iterable[PeriodKeyName]) -> int:
        """Destroy these keys, whether they exist or not: none is made later. Returns how many were here."""
        ...

    async def destroy_account(self, account: int) -> int:
        """Destroy an account's key: all that was ever sealed for it. Returns 1 if it was here, else 0."""
        ...

    async def destroy_hold(self, hold: UUID) -> int:
        """Destroy a legal hold's key: all record keys that it escrows. Returns 1 if it was here, else 0."""
        ...

    async def destroy_erasure(self, erasure: UUID) -> int:
        """Destroy an erasure's key: whom it was about. Returns 1 if it was here, else 0."""
        ...

    async def tombstones(self) -> list[str]:
        """The names of all destroyed keys, in the order of destruction."""
        ...

    async def replay(self, tombstones: Iterable[str]) -> int:
        """Destroy again what an older copy of the keyring brought back. Returns how many keys were here."""
        ...

    async def periods(self) -> list[PeriodKeyName]:
        """The period keys that are here, sorted."""
        ...

    async def names(self) -> list[KeyName]:
        """The names of all keys that are here, secrets left out."""
        ...

    async def counts(self) -> KeyringCounts:
        """How many keys are here and how many were destroyed."""
        ...

    async def rotate(self, to: str, *, on_step: OnStep = nobody_watches) -> Rotation:
        """Wrap every key anew under the key-encryption key at `to`; or go on where an earlier call was cut short.

        `KekError` if it is unfit, `KeyringDamagedError` when there are keys that nothing unwraps.
        """
        ...

    def before_minting(self, ask: BeforeMinting) -> None:
        """Have `ask` called before a key is made, from now on."""
        ...

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        """Drop unwrapped keys from memory: these, or all when none is named."""
        ...

    async def close(self) -> None:
        """Drop all unwrapped keys and whatever connects to the keys' home."""
        ...
