"""A key that is made although the ledger says that it was made before: the old one is lost, and that is recorded.

The keyring makes keys where they are needed, and does not remember one that is gone. So before it makes one, the
ledger is asked, and the loss is recorded first: `fsck`, `attest` and `status` name it from then on.
"""

import asyncio
import time
from typing import Final

import asyncpg

from policies.evidence import LedgerKind
from service.errors import CalledgerError
from service.keyring import KeyName, KeyringUnavailableError
from service.ledger import KnownKeys, Ledger
from service.logs import get_logger

log = get_logger()

FOLLOW_S: Final = 1.0
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '5s'"
_ACTOR: Final = "system"


class KeyMinting:
    """Called before a key is made. Each process has one; it reads the ledger's entries about keys once, and then new
    ones.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known = KnownKeys(ledger)
        self._lock = asyncio.Lock()
        self._followed_at = -FOLLOW_S

    async def before(self, name: KeyName, was_here: bool) -> None:
        """Record a loss when `name` had a key: by the ledger, or because this process has used it (`was_here`).

        KeyringUnavailableError when that cannot be known or written now: then no key is made.
        """
        text = str(name)
        try:
            async with self._lock:
                if time.monotonic() - self._followed_at >= FOLLOW_S:
                    await self._known.follow()
                    self._followed_at = time.monotonic()
                if not was_here and text not in self._known:
                    return
                await self._record(text)
                self._known.forget(text)
        except (CalledgerError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise KeyringUnavailableError(f"no key is made while the ledger cannot be asked: {error}") from error

    async def _record(self, name: str) -> None:
        async with self._ledger.database.owner.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            facts = {"keys": [name], "replaced": True}
            index = await self._ledger.append(LedgerKind.KEY_LOST, facts, actor=_ACTOR, connection=connection)
        log.error(
            "a key is lost, and another is made in its place: what it sealed does not open any more",
            key=name,
            entry=index,
        )
