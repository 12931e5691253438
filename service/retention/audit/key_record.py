"""The record of every key in the ledger: created, destroyed, or lost without us.

Keys are made where they are needed, in the middle of a batch and by any service, and the keyring does not know the
ledger. So the keyring is regularly compared with the ledger, and the difference is recorded, by name. A purge records
the keys that it destroys itself; the keys of erased accounts and lifted holds are recorded here.
"""

from collections.abc import AsyncIterator
from typing import Final

from policies.evidence import LedgerKind, read_leaf
from service.ledger import long_name, short_name
from service.logs import get_logger
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.purge_runs import SYSTEM
from service.storage.connection import Connection

log = get_logger()

_LOCK: Final = 0x63616C6C_0018
_KINDS: Final = (LedgerKind.KEY_CREATED, LedgerKind.KEY_DESTROYED, LedgerKind.KEY_LOST)
_LEAVES: Final = "SELECT leaf FROM ledger_entry WHERE calledger_leaf_kind(leaf) = ANY ($1) ORDER BY index"


async def record_keys(context: RetentionContext) -> int:
    """Record the keys whose state the ledger does not know; how many. 0 while another process does this.

    A key is lost when the ledger says that it was made, and it is neither in the keyring nor among its tombstones.
    """
    async with context.owner.acquire() as connection, connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        # Read in this order, so that a key that is made or destroyed meanwhile counts as neither lost nor made again.
        known = {short_name(name): kind async for name, kind in _known(connection)}
        live = {short_name(str(name)) for name in await context.keyring.names()}
        destroyed = {short_name(name) for name in await context.keyring.tombstones()}
        created = {name for name, kind in known.items() if kind == LedgerKind.KEY_CREATED}
        changes: dict[LedgerKind, set[str | int]] = {
            LedgerKind.KEY_CREATED: live - destroyed - created,
            LedgerKind.KEY_DESTROYED: {name for name in destroyed & known.keys() if _is_ours(name, known[name])},
            LedgerKind.KEY_LOST: created - live - destroyed,
        }
        for kind, changed in changes.items():
            names = sorted(long_name(name) for name in changed)
            if names and kind is LedgerKind.KEY_LOST:
                log.error("keys are gone that nobody destroyed: restore the keyring", keys=names[:5], count=len(names))
            for first in range(0, len(names), entries.NAMES_MAX):
                facts = {"keys": names[first : first + entries.NAMES_MAX]}
                await context.ledger.append(kind, facts, actor=SYSTEM, connection=connection)
    return sum(len(names) for names in changes.values())


def _is_ours(name: str | int, kind: str) -> bool:
    """Whether the destruction of a key is to be recorded here: the purge that destroys a period key does so itself."""
    return kind != LedgerKind.KEY_DESTROYED and not long_name(name).startswith("period/")


async def _known(connection: Connection) -> AsyncIterator[tuple[str, str]]:
    """The names of keys, each with the kind of its last entry in the ledger."""
    async for row in connection.cursor(_LEAVES, [kind.value for kind in _KINDS]):
        leaf = read_leaf(row["leaf"])
        for name in leaf.facts["keys"]:
            yield name, leaf.kind
