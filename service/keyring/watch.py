"""Whether the keyring is still there: looked at every few seconds, so that its loss is not noticed by what it cost."""

import asyncio
from typing import Final, Protocol

from service.errors import CalledgerError
from service.logs import get_logger

log = get_logger()

EVERY_S: Final = 5.0


class Checked(Protocol):
    """What is watched."""

    @property
    def away(self) -> str | None: ...

    async def check(self) -> None: ...


async def what_is_wrong(keyring: Checked) -> str | None:
    """Why the keyring cannot be used now; None when it can."""
    try:
        await keyring.check()
    except (CalledgerError, OSError) as error:
        return str(error) or type(error).__name__
    return None


async def watch_for_ever(keyring: Checked, *, every_s: float = EVERY_S) -> None:
    """Log when the keyring goes away and when it is back, until cancelled; the start has said what was so then."""
    known = keyring.away
    while True:
        wrong = await what_is_wrong(keyring)
        if wrong is not None and known is None:
            log.error("the keyring is gone: neither details of errors nor pseudonyms are kept", reason=wrong)
        elif wrong is None and known is not None:
            log.info("the keyring is back")
        known = wrong
        await asyncio.sleep(every_s)
