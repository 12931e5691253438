"""Checks every few seconds whether the keyring can be reached, so that a loss is logged before it costs data."""

import asyncio
from typing import Final, Protocol

from prometheus_client import Gauge

from service.errors import CalledgerError
from service.logs import get_logger

log = get_logger()

USABLE: Final = Gauge(
    "calledger_keyring_usable",
    "1 while the keyring can be used; at 0 no details of failed calls and no pseudonyms are kept",
    multiprocess_mode="livemin",
)
EVERY_S: Final = 5.0


class CheckedKeyring(Protocol):
    """The part of a keyring that is watched."""

    @property
    def unavailable_reason(self) -> str | None:
        """Why the keyring could not be opened yet; None once it was."""
        ...

    async def check(self) -> None:
        """Return if the keyring can be used; otherwise raise a `CalledgerError` or an `OSError`."""
        ...


async def reason_unusable(keyring: CheckedKeyring) -> str | None:
    """Why the keyring cannot be used now, as one sentence; None when it can."""
    try:
        await keyring.check()
    except (CalledgerError, OSError) as error:
        return str(error) or type(error).__name__
    return None


async def watch_for_ever(keyring: CheckedKeyring, *, every_s: float = EVERY_S) -> None:
    """Log when the keyring becomes unreachable and when it is back, until cancelled.

    It is checked every `every_s` seconds. The state at the start has been logged already.
    """
    known = keyring.unavailable_reason
    while True:
        wrong = await reason_unusable(keyring)
        USABLE.set(wrong is None)
        if wrong is not None and known is None:
            log.error("the keyring is gone: neither details of errors nor pseudonyms are kept", reason=wrong)
        elif wrong is None and known is not None:
            log.info("the keyring is back")
        known = wrong
        await asyncio.sleep(every_s)
