"""A keyring that may be unreachable or lost at the start: all but sealed fields is served, and it is opened later."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from uuid import UUID

from service.keyring.errors import (
    KekAddressError,
    KekWrongError,
    KeyGoneError,
    KeyringAddressError,
    KeyringError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringNewerError,
    KeyringSameClusterError,
    KeyringUnavailableError,
)
from service.keyring.fallback_secrets import KEPT, FallbackSecrets
from service.keyring.names import KeyName, PeriodKeyName
from service.keyring.protocol import BeforeMinting, Keyring
from service.logs import get_logger

log = get_logger()

PAUSE_S: Final = 5.0
# These are mistakes in the settings and no losses: serving on would be less safe than to refuse to start.
_REFUSED: Final = (
    KekAddressError,
    KeyringAddressError,
    KeyringExposedError,
    KeyringNewerError,
    KeyringSameClusterError,
)
_BEGIN_AGAIN: Final = (
    "without the keyring, and without `{path}`, API keys cannot be checked. Restore either; or begin again with"
    " `calledger keyring replace --accept-loss`, which revokes every API key and writes a new admin key"
)
_WRONG: Final = (
    "Nothing was started, for details of failed calls would be lost. Set CALLEDGER_KEK right; if that key is lost,"
    " CALLEDGER_START_WITHOUT_KEK=true starts without it"
)

Open = Callable[[], Awaitable[Keyring]]
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _forwarded(
    method: Callable[Concatenate[Keyring, _P], Awaitable[_R]],
) -> "Callable[Concatenate[DeferredKeyring, _P], CoroutineType[Any, Any, _R]]":
    """The same method of the opened keyring, which is opened first."""

    @wraps(method)
    async def forward(deferred: "DeferredKeyring", *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Open the keyring, and call its method."""
        return await getattr(await deferred._opened(), method.__name__)(*args, **kwargs)

    return forward


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

    bind = _forwarded(Keyring.bind)

    async def key(self, name: KeyName, *, mint: bool) -> bytes:
        """The 32 bytes of the key of this name, as `Keyring.key`."""
        return await (self._keyring or await self._opened()).key(name, mint=mint)

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

    signers = _forwarded(Keyring.signers)
    new_successor = _forwarded(Keyring.new_successor)
    promote_successor = _forwarded(Keyring.promote_successor)
    head = _forwarded(Keyring.head)
    note_head = _forwarded(Keyring.note_head)
    destroy = _forwarded(Keyring.destroy)
    tombstones = _forwarded(Keyring.tombstones)
    replay = _forwarded(Keyring.replay)
    periods = _forwarded(Keyring.periods)
    names = _forwarded(Keyring.names)
    counts = _forwarded(Keyring.counts)
    rotate = _forwarded(Keyring.rotate)
    pack = _forwarded(Keyring.pack)

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
