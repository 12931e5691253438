"""The record that the ledger's entries make, read from the database: the tables are compared with it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from policies.evidence import EntryError, LedgerKind, read_leaf
from policies.evidence.record import KEY_KINDS, RECORDED, Record, RecordedKey
from service.ledger import statements
from service.ledger.errors import LedgerDamagedError
from service.ledger.store import Ledger

_CHUNK: Final = 5000


async def read_record(ledger: Ledger, *, kinds: Sequence[LedgerKind] = RECORDED) -> Record:
    """The state of everything according to the entries (of these kinds). LedgerDamagedError when one cannot be read."""
    record = Record()
    await _follow(ledger, record, kinds, 0)
    return record


class KeyRegister:
    """The API keys according to the ledger, and what each may do; kept up to date by reading new entries.

    What was read stays known: when an entry is removed afterwards, to bring a revoked key back, nothing changes here.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._record = Record()
        self._next = 0
        self._lock = asyncio.Lock()

    async def find(self, prefix: str) -> RecordedKey | None:
        """The key with this prefix as the ledger has it now; None when no entry made it."""
        return (await self.find_all([prefix]))[0]

    async def find_all(self, prefixes: Sequence[str]) -> list[RecordedKey | None]:
        """The keys with these prefixes, in their order; the ledger is asked once."""
        async with self._lock:  # adding an entry twice could undo the one after it
            self._next = await _follow(self._ledger, self._record, KEY_KINDS, self._next)
        return [self._record.keys.get(prefix) for prefix in prefixes]


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
