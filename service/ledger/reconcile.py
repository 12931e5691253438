"""Reconciles database and mirror at the start, whichever of them is behind.

- The mirror is empty or behind: it is caught up. (There was a crash between a commit and its mirroring, or a new
  directory.)
- The database is behind: it was restored from a backup. Its lost entries are replayed from the mirror byte by byte, and
  a RESTORED entry says so.
- They differ: after a restore the database went on without its mirror. Neither is discarded: the database continues
  under a new origin, whose first entry, RESTORED, cites the newest checkpoint of the old one; the old mirror stays as
  it is.
"""

import asyncio
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

from policies import evidence
from policies.evidence import (
    EntryError,
    EvidenceError,
    LedgerKind,
    Signer,
    Tree,
    VerifierKey,
    read_checkpoint,
    read_leaf,
    read_rotation,
)
from service.errors import CalledgerError
from service.keyring import KeyringUnavailableError
from service.ledger import statements
from service.ledger.checkpoints import Checkpoints, first_origin
from service.ledger.errors import LedgerMirrorError
from service.ledger.mirror import Mirror, MirroredEntry, newest_mirror
from service.ledger.signed_checkpoint import SignedCheckpoint
from service.ledger.store import Ledger, completed
from service.logs import get_logger
from service.storage.connection import one_row

log = get_logger()
_CHUNK: Final = 2000


async def reconcile(ledger: Ledger, root: Path) -> Mirror:
    """Reconcile the database with the newest mirror under `root`; returns the mirror to write from then on.

    Call it at the start, before anything is appended. Raises LedgerMirrorError when the mirror cannot be read or
    written, or contradicts its own checkpoint.
    """
    mirror = newest_mirror(root)
    mirrored = await asyncio.to_thread(mirror.size)
    size = await ledger.size()
    if mirrored and not await _agree(ledger, mirror, min(size, mirrored)):
        mirror = await _new_origin(ledger, root, mirror)
    elif mirrored > size:
        await _replay(ledger, mirror, size, mirrored)
    elif size and not mirrored and await _was_mirrored(ledger):
        await _renew(ledger, mirror, size)
    await catch_up(ledger, mirror)
    return mirror


async def _was_mirrored(ledger: Ledger) -> bool:
    """Whether there ever was a mirror: the keyring notes only what was mirrored before."""
    try:
        return await ledger.keyring.head() is not None
    except CalledgerError:  # unknown while the keyring is unavailable or lost
        return False


async def _renew(ledger: Ledger, mirror: Mirror, size: int) -> None:
    """Record that the mirror is gone; the caller mirrors the database's entries anew."""
    await ledger.append(LedgerKind.MIRROR_RENEWED, {"entries": size}, actor="system")
    mirror.missing = size
    log.error("the mirror of the ledger was gone: it is written anew from the database", entries=size)


async def catch_up(ledger: Ledger, mirror: Mirror) -> None:
    """Append to the mirror what the database has and the mirror has not."""
    while True:
        start = await asyncio.to_thread(mirror.size)
        last = await asyncio.to_thread(mirror.checkpoint)
        async with ledger.database.reading(None) as connection:
            rows = await connection.fetch(statements.LEAVES, start, start + _CHUNK)
            size = rows[-1]["index"] + 1 if rows else start
            issued = await connection.fetch(statements.CHECKPOINTS, -1 if last is None else last.size, _CHUNK)
        entries = [MirroredEntry(row["index"], row["leaf"]) for row in rows]
        checkpoints = [SignedCheckpoint(*row) for row in issued if row["size"] <= size]
        if not entries and not checkpoints:
            return
        await asyncio.to_thread(mirror.write, entries, checkpoints)


async def _agree(ledger: Ledger, mirror: Mirror, common: int) -> bool:
    """Whether database and mirror have the same first `common` entries, and the mirror's checkpoint fits."""
    issued = await asyncio.to_thread(mirror.checkpoint)
    checked = 0
    if issued is not None and issued.size <= common:
        # The database's root at the checkpoint's size covers all entries before it.
        checked = issued.size
        if await ledger.root(checked) != _read_note(issued).root:
            return False
    elif common:
        # The mirror's newest checkpoint covers more than the database has: the mirror is read once from its start.
        tree = await asyncio.to_thread(_tree_of, mirror, common)
        return await ledger.root(common) == tree.root()
    async with ledger.database.reading(None) as connection:
        rows = await connection.fetch(statements.LEAVES, checked, common)
    mirrored = await asyncio.to_thread(lambda: [*islice(mirror.entries(checked), common - checked)])
    return all(
        row is not None and entry is not None and row["leaf"] == entry.leaf
        for row, entry in zip_longest(rows, mirrored)
    )


def _tree_of(mirror: Mirror, size: int) -> Tree:
    tree = Tree()
    for entry in islice(mirror.entries(), size):
        tree.append(entry.leaf)
    return tree


async def _replay(ledger: Ledger, mirror: Mirror, start: int, end: int) -> None:
    """Append the entries that the database lost, unchanged. The mirror's own checkpoints must confirm them."""
    await _check(ledger, mirror)
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        for entry in await asyncio.to_thread(lambda: [*islice(mirror.entries(start), end - start)]):
            head = await one_row(connection, statements.HEAD, statements.LEDGER_LOCK)
            try:
                leaf = read_leaf(entry.leaf)
            except EntryError:
                raise LedgerMirrorError(f"entry {entry.index} of the mirror is not an entry of a ledger") from None
            if head["size"] != entry.index:
                raise LedgerMirrorError("the ledger was written to while it was restored: start again")
            hashes = b"".join(completed(entry.leaf, entry.index, head["peaks"]))
            await connection.execute(
                statements.ADD_REPLAYED,
                entry.index,
                leaf.recorded_at,
                leaf.kind.value,
                leaf.actor,
                entry.leaf,
                hashes,
            )
        for issued in await asyncio.to_thread(mirror.checkpoints):
            await connection.execute(
                statements.ADD_CHECKPOINT, issued.size, issued.issued_at, issued.note, issued.public_key
            )
        # Read in this transaction: a replayed entry may have brought another origin.
        row = await connection.fetchrow(statements.NEWEST_OF_KIND, LedgerKind.RESTORED.value)
        origin = first_origin(ledger) if row is None else read_leaf(row["leaf"]).facts["origin"]
        facts = {"origin": origin, "from": start, "to": end}
        await ledger.append(LedgerKind.RESTORED, facts, actor="system", connection=connection)
    log.warning("an older database was restored: the ledger was completed from its mirror", entries=end - start)


async def _check(ledger: Ledger, mirror: Mirror) -> None:
    """Raise LedgerMirrorError unless the newest checkpoint of the mirror is signed by a signer of this ledger and has
    the root of its entries.
    """
    issued = await asyncio.to_thread(mirror.checkpoint)
    if issued is None:
        return
    checkpoint = _read_note(issued)
    try:
        own = {Signer(checkpoint.origin, seed).key.public for seed in await ledger.keyring.signers()}
    except KeyringUnavailableError as error:
        log.warning("the ledger's mirror is checked at the next start: its signer is away", reason=str(error))
        return
    try:
        tree = await asyncio.to_thread(_tree_of, mirror, issued.size)
        signers = await asyncio.to_thread(_signers, mirror)
        keys = own.union(signers) if own.intersection(signers) else own
        signed = any(checkpoint.signed_by(VerifierKey(checkpoint.origin, public)) for public in keys)
        holds = signed and (tree.size, tree.root()) == (checkpoint.size, checkpoint.root)
    except (EntryError, EvidenceError):
        holds = False
    if not holds:
        raise LedgerMirrorError(
            f"the mirror `{mirror.folder}` contradicts its own checkpoint of {issued.size} entries: it was altered. "
            "Keep it for whoever asks, restore it from its backup or move it away, and start again"
        )


def _signers(mirror: Mirror) -> list[bytes]:
    """The public keys of the signers that the mirror's entries hand the ledger over from and to, in order."""
    signers: list[bytes] = []
    for entry in mirror.entries():
        leaf = read_leaf(entry.leaf)
        if leaf.kind is LedgerKind.SIGNER_ROTATED:
            old, new = read_rotation(leaf.facts)
            if signers[-1:] not in ([], [old]):
                raise EvidenceError("the ledger is handed over by another than its signer")
            signers = [*(signers or [old]), new]
        if leaf.kind is LedgerKind.KEYRING_REPLACED:
            signers.append(bytes.fromhex(leaf.facts["new"]))
    return signers


def _read_note(issued: SignedCheckpoint) -> evidence.Checkpoint:
    try:
        return read_checkpoint(issued.note.encode())
    except EvidenceError:
        raise LedgerMirrorError("the newest checkpoint of the ledger's mirror cannot be read: it was altered") from None


async def _new_origin(ledger: Ledger, root: Path, old: Mirror) -> Mirror:
    """Continue under another origin, citing the old mirror's newest checkpoint."""
    number = old.number + 1
    origin = f"{first_origin(ledger)}/{number}"
    facts: dict[str, object] = {"origin": origin, "old_origin": await Checkpoints(ledger).origin()}
    issued = await asyncio.to_thread(old.checkpoint)
    if issued is not None:
        cited = _read_note(issued)
        facts |= {"old_origin": cited.origin, "old_size": cited.size, "old_root": cited.root.hex()}
    await ledger.append(LedgerKind.RESTORED, facts, actor="system")
    log.error(
        "the ledger and its mirror went different ways: the database goes on under a new origin, the old mirror stays",
        origin=origin,
        mirror=str(old.folder),
    )
    return Mirror(root, number)
