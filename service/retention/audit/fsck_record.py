"""A check against the ledger: what it says has ended for good is recorded as ended in the database.

A database that was restored from its backup gets its ledger back from the mirror, but not its erasures.
"""

from datetime import datetime
from typing import Final

from policies.evidence import EntryError, LedgerKind, read_leaf
from service.ledger.store import Selection
from service.retention.context import RetentionContext

Result = tuple[list[str], str]

# The kinds of entries that end data for good: the fact that names what ended, and the statement for its records.
_ENDS: Final = {
    LedgerKind.ERASURE_RESULT: ("erasure", "SELECT id FROM erasure WHERE finished_at IS NOT NULL"),
    LedgerKind.HOLD_LIFTED: ("hold", "SELECT id FROM hold WHERE lifted_at IS NOT NULL"),
}


async def check_record(context: RetentionContext, _: datetime) -> Result:
    """Every erasure and every lifted hold of the ledger is recorded in the database."""
    wrong, seen = [], 0
    for kind, (what, statement) in _ENDS.items():
        known = {str(row["id"]) for row in await context.owner.fetch(statement)}
        async for entry in context.ledger.every(Selection(kinds=(kind,))):
            seen += 1
            try:
                named = read_leaf(entry.leaf).facts.get(what)
            except EntryError:
                named = f"entry {entry.index}"
            if named not in known:
                wrong.append(f"{what} `{named}` is done in the ledger and not here: was an old database restored?")
    return wrong, f"{seen} erasures and lifted holds of the ledger, all known here"
