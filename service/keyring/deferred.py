"""A keyring that may be unreachable or lost at the start: all but sealed fields is served, and it is opened later."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

from service.keyring.errors import (
    KekAddressError,
    KekWrongError,
    KeyGoneError,
    KeyringAddressError,
    KeyringError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringSameClusterError,
    KeyringUnavailableError,
)
from service.keyring.fallback_secrets import KEPT, FallbackSecrets
from service.keyring.names import KeyName, PeriodKeyName
from service.keyring.protocol import BeforeMinting, Keyring, KeyringCounts, OnStep, Rotation, nobody_watches
from service.logs import get_logger

log = get_logger()

PAUSE_S: Final = 5.0
# These are mistakes in the settings and no losses: serving on would be less safe than to refuse to start.
_REFUSED: Final = (KekAddressError, KeyringAddressError, KeyringExposedError, KeyringSameClusterError)
_BEGIN_AGAIN: Final = (
    "without the keyring, and without `{path}`, API keys cannot be checked. Restore either; or begin again with"
    " `calledger keyring replace --accept-loss`, which revokes every API key and writes a new admin key"
)
_WRONG: Final = (
    "Nothing was started, for details of failed calls would be lost. Set CALLEDGER_KEK right; if that key is lost,"
    " CALLEDGER_START_WITHOUT_KEK=true starts without it"
)

Open = Callable[[], Awaitable[Keyring]]


class DeferredKeyring:
    """A `Keyring` that opens the real one when it can.

    `open_now` returns that keyring, bound to its database, or raises. After a failure it is not tried again for
    `PAUSE_S`.
    """

    def __init__(
        self,
        open_now: Open,
        fallback: FallbackSecrets,
        database_id: UUID,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_now = open_now
        self._fallback = fallback
        self._id = database_id
        self._clock = clock
        self._keyring: Keyring | None = None
        self._before_minting: BeforeMinting | None = None
        self._opening = asyncio.Lock()
        self._not_before: float | None = None
        self._reason = ""

    async def start(self, *, with_wrong_kek: bool = True) -> None:
        """Open the keyring, or go on without it for now if it is unreachable, lost, or belongs to another database.

        Raises the keyring's error when this host has no fallback secrets, because then no API key can be checked, and,
        unless `with_wrong_kek`, when the key-encryption key can be used and is another one: a setting, and no loss.
        """
        try:
            secrets = {name: await (await self._opened()).secret(name) for name in KEPT}
        except KekWrongError as error:
            if not with_wrong_kek:
                raise KekWrongError(f"{error}. {_WRONG}") from error
            await self._go_on_without(error)
        except _REFUSED:
            raise
        except (KeyringError, KeyringUnavailableError, KeyGoneError) as error:
            await self._go_on_without(error)
        else:
            await asyncio.to_thread(self._fallback.write, secrets)

    async def _go_on_without(self, error: KeyringError | KeyringUnavailableError | KeyGoneError) -> None:
        if not await asyncio.to_thread(self._fallback.read):
            raise self._refusal(error) from error
        self.postpone(error)
        log.error(
            "the keyring is gone: everything but sealed fields and pseudonyms is served until it is back; details"
            " of failed calls are not kept meanwhile",
            reason=str(error),
        )

    def _refusal(self, error: KeyringError | KeyringUnavailableError | KeyGoneError) -> Exception:
        """The error to raise at the start: one that passes by itself as it is, any other with what the
        operator can do.
        """
        if isinstance(error, KeyringUnavailableError):
            return error
        kind = type(error) if isinstance(error, KeyringError) else KeyringError
        return kind(f"{error}. {_BEGIN_AGAIN.format(path=self._fallback.path)}")

    @property
    def id(self) -> UUID:
        """The id of the opened keyring; before that, the id of the database that it is for."""
        return self._keyring.id if self._keyring else self._id

    @property
    def unavailable_reason(self) -> str | None:
        """Why the keyring is not open yet, as one sentence; None once it is."""
        return None if self._keyring else self._reason

    def describe(self) -> str:
        """What the opened keyring says of itself, or why it is not open; for `status`."""
        return self._keyring.describe() if self._keyring else f"away: {self._reason}"

    async def bind(self, database_id: UUID) -> None:
        """Bind the opened keyring to one database; `KeyringForeignError` if it has another."""
        await (await self._opened()).bind(database_id)

    async def period_key(self, tier: int, data_class: str, period: str, *, mint: bool) -> bytes:
        """The 32 bytes of the key of a tier, class and period, as `Keyring.period_key`."""
        return await (self._keyring or await self._opened()).period_key(tier, data_class, period, mint=mint)

    async def account_key(self, account: int, *, mint: bool) -> bytes:
        """The 32 bytes of an account's key, as `Keyring.account_key`."""
        return await (self._keyring or await self._opened()).account_key(account, mint=mint)

    async def hold_key(self, hold: UUID, *, mint: bool) -> bytes:
        """The 32 bytes of a legal hold's key, as `Keyring.hold_key`."""
        return await (await self._opened()).hold_key(hold, mint=mint)

    async def erasure_key(self, erasure: UUID, *, mint: bool) -> bytes:
        """The 32 bytes of an erasure's key, as `Keyring.erasure_key`."""
        return await (await self._opened()).erasure_key(erasure, mint=mint)

    async def check(self) -> None:
        """Check the opened keyring, and close it when another one has taken its place (`KeyringForeignError`)."""
        opened = await self._opened()
        try:
            await opened.check()
        except KeyringForeignError as error:
            # Another keyring is in its place: keys that we have of the old one would seal what nobody can open.
            self._keyring = None
            self.postpone(error)
            await opened.close()
            raise

    async def secret(self, name: str) -> bytes:
        """One of `SECRETS`, 32 bytes; from this host's fallback secrets while the keyring cannot be reached."""
        try:
            return await (await self._opened()).secret(name)
        except (KeyringUnavailableError, KeyGoneError):
            kept = await asyncio.to_thread(self._fallback.read)
            if name in kept:
                return kept[name]
            raise

    async def signers(self) -> tuple[bytes, ...]:
        """The seeds of the ledger's signer and, if there is one, of its successor: 32 bytes each."""
        return await (await self._opened()).signers()

    async def new_successor(self) -> bytes:
        """Make a new successor of the ledger's signer and return its seed, 32 bytes."""
        return await (await self._opened()).new_successor()

    async def promote_successor(self) -> None:
        """Make the successor the ledger's signer; the old seed is gone from then on."""
        await (await self._opened()).promote_successor()

    async def head(self) -> bytes | None:
        """The 32 bytes that were last noted about the ledger; None before the first signature."""
        return await (await self._opened()).head()

    async def note_head(self, head: bytes) -> None:
        """Replace the 32 bytes that are noted about the ledger."""
        await (await self._opened()).note_head(head)

    async def destroy_periods(self, keys: Iterable[PeriodKeyName]) -> int:
        """Destroy these period keys for good; how many of them existed."""
        return await (await self._opened()).destroy_periods(keys)

    async def destroy_account(self, account: int) -> int:
        """Destroy an account's key for good; 1 if it existed, else 0."""
        return await (await self._opened()).destroy_account(account)

    async def destroy_hold(self, hold: UUID) -> int:
        """Destroy a legal hold's key for good; 1 if it existed, else 0."""
        return await (await self._opened()).destroy_hold(hold)

    async def destroy_erasure(self, erasure: UUID) -> int:
        """Destroy an erasure's key for good; 1 if it existed, else 0."""
        return await (await self._opened()).destroy_erasure(erasure)

    async def tombstones(self) -> list[str]:
        """The names of all destroyed keys, in the order of their destruction."""
        return await (await self._opened()).tombstones()

    async def replay(self, tombstones: Iterable[str]) -> int:
        """Destroy keys again that a restored copy of the keyring brought back; how many there were."""
        return await (await self._opened()).replay(tombstones)

    async def periods(self) -> list[PeriodKeyName]:
        """The names of the period keys that exist, sorted."""
        return await (await self._opened()).periods()

    async def names(self) -> list[KeyName]:
        """The names of all keys that exist, without the secrets."""
        return await (await self._opened()).names()

    async def counts(self) -> KeyringCounts:
        """How many keys exist and how many were destroyed, by group."""
        return await (await self._opened()).counts()

    async def rotate(self, to: str, *, on_step: OnStep = nobody_watches) -> Rotation:
        """Wrap every key under the key-encryption key at `to`, as `Keyring.rotate`."""
        return await (await self._opened()).rotate(to, on_step=on_step)

    def before_minting(self, hook: BeforeMinting) -> None:
        """Have `hook` called before a key is made, also in a keyring that is opened only later."""
        self._before_minting = hook
        if self._keyring:
            self._keyring.before_minting(hook)

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        """Drop unwrapped keys from memory: the named ones, or all when none is named."""
        if self._keyring:
            self._keyring.forget(keys, accounts)

    async def close(self) -> None:
        """Close the keyring if it was opened."""
        if self._keyring:
            await self._keyring.close()

    async def _opened(self) -> Keyring:
        if self._keyring is None:
            async with self._opening:
                if self._keyring is None:
                    self._keyring = await self._try()
                    if self._before_minting is not None:
                        self._keyring.before_minting(self._before_minting)
        return self._keyring

    async def _try(self) -> Keyring:
        started = self._reason != ""
        if self._not_before is not None and self._clock() < self._not_before:
            raise KeyringUnavailableError(self._reason)
        try:
            return await self._open_now()
        except (KeyringUnavailableError, KeyringError) as error:
            # At the start a wrong keyring is refused; once we serve without it, it is only not used.
            if isinstance(error, KeyringError) and not started:
                raise
            self.postpone(error)
            raise KeyringUnavailableError(self._reason) from error

    def postpone(self, error: Exception) -> None:
        """Note why the keyring cannot be opened, and do not try again for `PAUSE_S` seconds."""
        self._reason, self._not_before = str(error), self._clock() + PAUSE_S
