"""A keyring that may be away when the service starts: all but sealed fields is served, and it is opened later."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

from service.keyring.errors import KeyringError, KeyringUnavailableError
from service.keyring.names import KeyName, PeriodKeyName
from service.keyring.protocol import Keyring, KeyringCounts, OnStep, Rotation, nobody_watches
from service.keyring.standby import KEPT, Standby
from service.logs import get_logger

log = get_logger()

PAUSE_S: Final = 5.0

Open = Callable[[], Awaitable[Keyring]]


class PatientKeyring:
    """A `Keyring` that opens the real one when it can. `open_now` gives it bound to its database, or raises."""

    def __init__(
        self, open_now: Open, standby: Standby, database_id: UUID, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_now = open_now
        self._standby = standby
        self._id = database_id
        self._clock = clock
        self._keyring: Keyring | None = None
        self._opening = asyncio.Lock()
        self._not_before: float | None = None
        self._reason = ""

    async def start(self) -> None:
        """Open it, or make do without it for now.

        `KeyringUnavailableError` when this host never started with it, and so cannot tell one API key from another.
        """
        try:
            secrets = {name: await (await self._opened()).secret(name) for name in KEPT}
        except KeyringUnavailableError as error:
            if not await asyncio.to_thread(self._standby.read):
                raise
            log.warning("everything but sealed fields is served until the keyring is back", reason=str(error))
        else:
            await asyncio.to_thread(self._standby.write, secrets)

    @property
    def id(self) -> UUID:
        return self._keyring.id if self._keyring else self._id

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

    async def check(self) -> None:
        await (await self._opened()).check()

    async def secret(self, name: str) -> bytes:
        try:
            return await (await self._opened()).secret(name)
        except KeyringUnavailableError:
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
            self._reason, self._not_before = str(error), self._clock() + PAUSE_S
            raise KeyringUnavailableError(self._reason) from error
