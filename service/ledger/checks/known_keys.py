"""The keys that the keyring has according to the ledger: made, and neither destroyed nor replaced."""

from collections.abc import Mapping
from typing import Any, Final

from policies.evidence import EntryError, LedgerKind, read_leaf
from service.ledger import statements
from service.ledger.errors import LedgerDamagedError
from service.ledger.store import Ledger

_KINDS: Final = (LedgerKind.KEY_CREATED, LedgerKind.KEY_DESTROYED, LedgerKind.KEY_LOST)
_ACCOUNT: Final = "account/"
# An entry names up to 500 keys, so few entries are read at a time to keep the loop free.
_CHUNK: Final = 20


def is_final(kind: LedgerKind, facts: Mapping[str, Any]) -> bool:
    """Whether an entry ends its keys for good: they are destroyed, or lost and replaced."""
    return kind is LedgerKind.KEY_DESTROYED or (kind is LedgerKind.KEY_LOST and facts.get("replaced") is True)


class KnownKeys:
    """Names of keys, kept up to date by reading new entries. Of accounts, which are many, only the id is kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names: set[str | int] = set()
        self._next = 0

    def __contains__(self, name: str) -> bool:
        return short_name(name) in self._names

    def names(self) -> list[str]:
        """The names of all these keys, in no order."""
        return [long_name(name) for name in self._names]

    def forget(self, name: str) -> None:
        """Treat a key as ended, until an entry says that it was made again."""
        self._names.discard(short_name(name))

    async def follow(self) -> None:
        """Read the entries that were added. LedgerDamagedError when one cannot be read."""
        kinds = [kind.value for kind in _KINDS]
        while True:
            async with self._ledger.database.reading(None) as connection:
                rows = await connection.fetch(statements.OF_KINDS, kinds, self._next, _CHUNK)
            for row in rows:
                self._add(row["leaf"])
                self._next = row["index"] + 1
            if len(rows) < _CHUNK:
                return

    def _add(self, data: bytes) -> None:
        try:
            leaf = read_leaf(data)
            names = {short_name(name) for name in leaf.facts["keys"]}
        except (EntryError, KeyError, TypeError, ValueError):
            raise LedgerDamagedError from None
        if is_final(leaf.kind, leaf.facts):
            self._names -= names
        else:
            self._names |= names


def short_name(name: str) -> str | int:
    """What a key is noted by: an account's by the account's id, any other by its name.

    Accounts are many, and a number is smaller.
    """
    return int(name.removeprefix(_ACCOUNT)) if name.startswith(_ACCOUNT) else name


def long_name(short: str | int) -> str:
    """The name of which `short_name` made this."""
    return f"{_ACCOUNT}{short}" if isinstance(short, int) else short
