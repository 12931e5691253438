"""The record that the ledger's entries make, read from the database: the tables are compared with it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from policies.evidence import EntryError, LedgerKind, read_leaf
from policies.evidence.record import KEY_KINDS, RECORDED, WEBHOOK_KINDS, Record
from policies.evidence.recorded import RecordedKey, RecordedWebhook
from service.ledger import statements
from service.ledger.errors import LedgerDamagedError
from service.ledger.store import Ledger

_CHUNK: Final = 5000


async def read_record(ledger: Ledger, *, kinds: Sequence[LedgerKind] = RECORDED) -> Record:
    """The state of everything according to the entries (of these kinds). LedgerDamagedError when one cannot be read."""
    record = Record()
    await _follow(ledger, record, kinds, 0)
    return record


class _Register:
    """What the ledger's entries of some kinds say, kept up to date by reading new ones.

    What was read stays known: when an entry is removed afterwards, to bring a revoked key back, nothing changes here.
    """

    KINDS: Sequence[LedgerKind]

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._record = Record()
        self._next = 0
        self._lock = asyncio.Lock()

    async def _current(self) -> Record:
        """The record with what was added since; the ledger is asked once."""
        async with self._lock:  # adding an entry twice could undo the one after it
            self._next = await _follow(self._ledger, self._record, self.KINDS, self._next)
        return self._record


class KeyRegister(_Register):
    """The API keys according to the ledger, and what each may do."""

    KINDS = KEY_KINDS

    async def find(self, prefix: str) -> RecordedKey | None:
        """The key with this prefix as the ledger has it now; None when no entry made it."""
        return (await self.find_all([prefix]))[0]

    async def find_all(self, prefixes: Sequence[str]) -> list[RecordedKey | None]:
        """The keys with these prefixes, in their order."""
        keys = (await self._current()).keys
        return [keys.get(prefix) for prefix in prefixes]


class WebhookRegister(_Register):
    """The webhooks according to the ledger."""

    KINDS = WEBHOOK_KINDS

    async def find(self, id_: str) -> RecordedWebhook | None:
        """The webhook of this id as the ledger has it now; None when no entry made it."""
        return (await self._current()).webhooks.get(id_)

    async def keys(self) -> Mapping[UUID, str]:
        """The webhooks that were not deleted, and the key of each: after a rotation the one that took the place."""
        found = (await self._current()).webhooks
        return {UUID(id_): one.key for id_, one in found.items() if one.ended is None}


async def _follow(ledger: Ledger, record: Record, kinds: Sequence[LedgerKind], start: int) -> int:
    """Add the entries of these kinds from `start` on; returns the index after the last one."""
    names = [kind.value for kind in kinds]
    while True:
        async with ledger.database.reading(None) as connection:
            rows = await connection.fetch(statements.OF_KINDS, names, start, _CHUNK)
        for row in rows:
            try:
                record.add(row["index"], read_leaf(row["leaf"]))
            except (EntryError, KeyError, TypeError, ValueError):
                raise LedgerDamagedError from None
            start = row["index"] + 1
        if len(rows) < _CHUNK:
            return start
