"""Checks of what is stored next to the tree: columns, notes, and the mirror."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Final

import asyncpg

from policies.evidence import LedgerKind, note_hash, read_leaf
from service.ledger import statements
from service.ledger.errors import LedgerMirrorError
from service.ledger.mirror import Mirror
from service.ledger.signed_checkpoint import SignedCheckpoint
from service.ledger.store import Ledger, Selection

Result = tuple[list[str], str]

_CHUNK: Final = 5000


async def check_columns(ledger: Ledger) -> list[str]:
    """The first few entries whose columns disagree with their leaf, in words."""
    async with ledger.database.reading(None) as connection:
        rows = await connection.fetch(statements.OTHER_COLUMNS)
    return [f"entry {row['index']} of the ledger: its columns say something else than its leaf" for row in rows]


async def check_notes(ledger: Ledger) -> Result:
    """Each note has the salted hash of its leaf; a missing one was erased by an entry, or lost by a restore.

    Returns what is wrong, and in words what was looked at.
    """
    erased, ranges = await _erased_notes(ledger)
    wrong, looked = [], 0
    async for row in _entries_with_notes(ledger):
        looked += 1
        index, noted = row["index"], read_leaf(row["leaf"]).note
        if row["text"] is None:
            if index not in erased and not any(index in one for one in ranges):
                wrong.append(f"the note of entry {index} is gone, and no entry says that it was erased")
        elif noted != note_hash(row["salt"], row["text"]):
            wrong.append(f"the note of entry {index} is not the one that was written")
    return wrong, f"{looked} entries with a note, each as it was written or erased on record"


async def _erased_notes(ledger: Ledger) -> tuple[set[int], list[range]]:
    """Entries whose notes were erased, and ranges that were restored from the mirror, which has no notes."""
    erased, ranges = set[int](), list[range]()
    async for entry in ledger.every(Selection(kinds=(LedgerKind.NOTES_ERASED, LedgerKind.RESTORED))):
        if entry.kind is LedgerKind.NOTES_ERASED:
            erased.update(entry.facts["entries"])
        elif "from" in entry.facts:
            ranges.append(range(entry.facts["from"], entry.facts["to"]))
    return erased, ranges


async def _entries_with_notes(ledger: Ledger) -> AsyncIterator[asyncpg.Record]:
    start = 0
    while True:
        async with ledger.database.reading(None) as connection:
            rows = await connection.fetch(statements.ENTRIES_WITH_NOTES, start, _CHUNK)
        for row in rows:
            yield row
        if len(rows) < _CHUNK:
            return
        start = rows[-1]["index"] + 1


async def check_mirror(ledger: Ledger) -> Result:
    """Every line of the mirror is as in the database, and it reaches the newest checkpoint.

    Returns what is wrong, and in words what was looked at.
    """
    mirror = ledger.mirror
    if mirror is None:
        return [], "there is no mirror to compare with"
    try:
        return await _compare(ledger, mirror)
    except LedgerMirrorError as error:
        return [str(error)], ""


async def _compare(ledger: Ledger, mirror: Mirror) -> Result:
    wrong = []
    if mirror.missing:
        wrong.append(f"it was gone, with {mirror.missing} entries: it was written anew from the database")
    size = await asyncio.to_thread(mirror.size)
    entries, start = mirror.entries(), 0
    while mirrored := await asyncio.to_thread(lambda: list(islice(entries, _CHUNK))):
        async with ledger.database.reading(None) as connection:
            rows = await connection.fetch(statements.LEAVES, start, start + len(mirrored))
        here = {row["index"]: row["leaf"] for row in rows}
        other = [one.index for one in mirrored if here.get(one.index) != one.leaf]
        wrong += [f"entry {index} is another than in the database" for index in other[:1]]
        start += len(mirrored)
    if start != size:
        wrong.append(f"it has {start} entries and ends with entry {size - 1}")
    mine = {one.size: one for one in await asyncio.to_thread(mirror.checkpoints)}
    async with ledger.database.reading(None) as connection:
        stored = [SignedCheckpoint(*row) for row in await connection.fetch(statements.CHECKPOINTS, -1, 2**31)]
    if stored and start < stored[-1].size:
        wrong.append(f"it ends after {start} entries, and {stored[-1].size} were signed")
    wrong += [f"the checkpoint of {one.size} entries is another" for one in stored if _differs(one, mine.get(one.size))]
    return wrong, f"{size} entries and {len(mine)} checkpoints, as the database has them"


def _differs(stored: SignedCheckpoint, mirrored: SignedCheckpoint | None) -> bool:
    """Whether the mirror has another checkpoint of the size. The newest ones may not be in it yet."""
    return mirrored is not None and (stored.note, stored.public_key) != (mirrored.note, mirrored.public_key)
