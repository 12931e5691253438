"""A keyring that may be away or lost at the start: all but sealed fields is served, and it is opened later."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

from service.keyring.errors import (
    KekAddressError,
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
# Not a loss, and less safe if it were served on: the operator mends it in a minute.
_REFUSED: Final = (KekAddressError, KeyringAddressError, KeyringExposedError, KeyringSameClusterError)
_BEGIN_AGAIN: Final = (
    "without the keyring, and without `{standby}`, API keys cannot be checked. Restore either; or begin again with"
    " `calledger keyring replace --accept-loss`, which revokes every API key and writes a new admin key"
)

Open = Callable[[], Awaitable[Keyring]]


class DeferredKeyring:
    """A `Keyring` that opens the real one when it can. `open_now` gives it bound to its database, or raises."""

    def __init__(
        self,
        open_now: Open,
        standby: FallbackSecrets,
        database_id: UUID,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_now = open_now
        self._standby = standby
        self._id = database_id
        self._clock = clock
        self._keyring: Keyring | None = None
        self._before_minting: BeforeMinting | None = None
        self._opening = asyncio.Lock()
        self._not_before: float | None = None
        self._reason = ""

    async def start(self) -> None:
        """Open it, or make do without it for now, whether it is away, lost, or another's.

        Raises what is wrong when this host has no fallback secrets, and so cannot tell one API key from another.
        """
        try:
            secrets = {name: await (await self._opened()).secret(name) for name in KEPT}
        except _REFUSED:
            raise
        except (KeyringError, KeyringUnavailableError, KeyGoneError) as error:
            if not await asyncio.to_thread(self._standby.read):
                raise self._refusal(error) from error
            self.put_off(error)
            log.error(
                "the keyring is gone: everything but sealed fields and pseudonyms is served until it is back; details"
                " of failed calls are not kept meanwhile",
                reason=str(error),
            )
        else:
            await asyncio.to_thread(self._standby.write, secrets)

    def _refusal(self, error: KeyringError | KeyringUnavailableError | KeyGoneError) -> Exception:
        """What is away comes back; what is lost needs to be told what there is to do."""
        if isinstance(error, KeyringUnavailableError):
            return error
        kind = type(error) if isinstance(error, KeyringError) else KeyringError
        return kind(f"{error}. {_BEGIN_AGAIN.format(standby=self._standby.path)}")

    @property
    def id(self) -> UUID:
        return self._keyring.id if self._keyring else self._id

    @property
    def away(self) -> str | None:
        """Why it could not be opened yet; None once it was."""
        return None if self._keyring else self._reason

    def describe(self) -> str:
        return self._keyring.describe() if self._keyring else f"away: {self._reason}"

    async def bind(self, database_id: UUID) -> None:
        await (await self._opened()).bind(database_id)

    async def period_key(self, tier: int, data_class: str, period: str, *, mint: bool) -> bytes:
        return await (self._keyring or await self._opened()).period_key(tier, data_class, period, mint=mint)

    async def account_key(self, account: int, *, mint: bool) -> bytes:
        return await (self._keyring or await self._opened()).account_key(account, mint=mint)

    async def hold_key(self, hold: UUID, *, mint: bool) -> bytes:
        return await (await self._opened()).hold_key(hold, mint=mint)

    async def erasure_key(self, erasure: UUID, *, mint: bool) -> bytes:
        return await (await self._opened()).erasure_key(erasure, mint=mint)

    async def check(self) -> None:
        opened = await self._opened()
        try:
            await opened.check()
        except KeyringForeignError as error:
            # Another is in its place: what we have of the old one would seal what nobody opens again.
            self._keyring = None
            self.put_off(error)
            await opened.close()
            raise

    async def secret(self, name: str) -> bytes:
        try:
            return await (await self._opened()).secret(name)
        except (KeyringUnavailableError, KeyGoneError):
            kept = await asyncio.to_thread(self._standby.read)
            if name in kept:
                return kept[name]
            raise

    async def signers(self) -> tuple[bytes, ...]:
        return await (await self._opened()).signers()

    async def new_successor(self) -> bytes:
        return await (await self._opened()).new_successor()

    async def promote_successor(self) -> None:
        await (await self._opened()).promote_successor()

    async def head(self) -> bytes | None:
        return await (await self._opened()).head()

    async def note_head(self, head: bytes) -> None:
        await (await self._opened()).note_head(head)

    async def destroy_periods(self, keys: Iterable[PeriodKeyName]) -> int:
        return await (await self._opened()).destroy_periods(keys)

    async def destroy_account(self, account: int) -> int:
        return await (await self._opened()).destroy_account(account)

    async def destroy_hold(self, hold: UUID) -> int:
        return await (await self._opened()).destroy_hold(hold)

    async def destroy_erasure(self, erasure: UUID) -> int:
        return await (await self._opened()).destroy_erasure(erasure)

    async def tombstones(self) -> list[str]:
        return await (await self._opened()).tombstones()

    async def replay(self, tombstones: Iterable[str]) -> int:
        return await (await self._opened()).replay(tombstones)

    async def periods(self) -> list[PeriodKeyName]:
        return await (await self._opened()).periods()

    async def names(self) -> list[KeyName]:
        return await (await self._opened()).names()

    async def counts(self) -> KeyringCounts:
        return await (await self._opened()).counts()

    async def rotate(self, to: str, *, on_step: OnStep = nobody_watches) -> Rotation:
        return await (await self._opened()).rotate(to, on_step=on_step)

    def before_minting(self, ask: BeforeMinting) -> None:
        self._before_minting = ask
        if self._keyring:
            self._keyring.before_minting(ask)

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        if self._keyring:
            self._keyring.forget(keys, accounts)

    async def close(self) -> None:
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
            self.put_off(error)
            raise KeyringUnavailableError(self._reason) from error

    def put_off(self, error: Exception) -> None:
        """Not to be tried again before a while."""
        self._reason, self._not_before = str(error), self._clock() + PAUSE_S
