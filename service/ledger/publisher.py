"""The ledger's loop in `serve`: mirrors what was committed, and signs when it is time."""

import asyncio
import random
from pathlib import Path
from typing import Final

from service.errors import CalledgerError
from service.ledger.checkpoints import Checkpoints
from service.ledger.heads import note_newest
from service.ledger.mirror import Mirror
from service.ledger.reconcile import catch_up, reconcile
from service.ledger.store import Ledger
from service.logs import get_logger

log = get_logger()
EVERY_S: Final = 20.0


class LedgerPublisher:
    """Keeps one ledger's mirror and checkpoints up to date. Made by `start`; several processes may each have one."""

    def __init__(self, ledger: Ledger, mirror: Mirror) -> None:
        self.ledger = ledger
        self.checkpoints = Checkpoints(ledger)
        self._mirror = mirror
        self._lock = asyncio.Lock()
        self._noted = 0

    @classmethod
    async def start(cls, ledger: Ledger, data: Path) -> "LedgerPublisher":
        """Reconcile the database with the mirror in `data`/ledger, and return what keeps them so."""
        mirror = ledger.mirror = await reconcile(ledger, data / "ledger")
        return cls(ledger, mirror)

    async def mirror(self) -> None:
        """Mirror what was committed, now. Raises LedgerMirrorError."""
        async with self._lock:
            await catch_up(self.ledger, self._mirror)

    async def settle(self) -> None:
        """Mirror what was committed, sign if it is due, and mirror that. Errors are logged and not raised."""
        async with self._lock:
            try:
                # Mirrored first: entries that are signed and then lost with the database could not be shown any more.
                await catch_up(self.ledger, self._mirror)
                if await self.checkpoints.sign_if_due():
                    await catch_up(self.ledger, self._mirror)
                await self._note_head()
            except CalledgerError as error:
                log.error("the ledger could not be mirrored or signed", reason=str(error))
            except Exception:  # the loop must go on, or the ledger would stay unsigned
                log.exception("the ledger could not be mirrored or signed")

    async def _note_head(self) -> None:
        """Note the newest checkpoint in the keyring, once each."""
        latest = await self.checkpoints.latest()
        if latest is not None and latest.size != self._noted:
            await note_newest(self.ledger)
            self._noted = latest.size

    async def publish_for_ever(self) -> None:
        """Settle at intervals until cancelled. Besides, entries trigger it by the notice `ledger`."""
        while True:
            await self.settle()
            await asyncio.sleep(EVERY_S * (0.9 + 0.2 * random.random()))  # noqa: S311 - spread
