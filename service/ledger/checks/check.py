"""The check of the ledger from its leaves: everything that is derived is derived again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from policies import evidence
from policies.evidence import (
    Checkpoint,
    EntryError,
    EvidenceError,
    LedgerKind,
    Node,
    Tree,
    VerifierKey,
    completed,
    read_checkpoint,
    read_key,
    read_leaf,
    read_rotation,
)
from service.ledger import statements
from service.ledger.store import Ledger

_CHUNK: Final = 5000


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """The result: how many entries, their root hash, and what is wrong, in words. Without problems all is well."""

    size: int
    root: bytes
    checkpoints: int
    problems: tuple[str, ...]


async def check(ledger: Ledger) -> LedgerCheck:
    """Read every entry and every checkpoint of one moment, and return what is wrong.

    It checks that indexes have no gap, that leaves agree with their columns, the stored hashes, and the signed roots.
    It stops at the first wrong entry, because all later ones would be wrong too.
    """
    tree, problems, peaks = Tree(), [], dict[Node, bytes]()
    issued = await _checkpoints(ledger, problems)
    # The first checkpoint or handover names the first signer; every later one is named by the one before.
    signer: bytes | None = None
    due = dict(issued)
    async for row in _rows(ledger):
        index = tree.size
        problem = _problem(row, index, peaks)
        if problem is not None:
            problems.append(f"entry {index}: {problem}")
            break
        tree.append(row["leaf"])
        peaks = dict(zip(evidence.peaks(tree.size), tree.peaks, strict=True))
        if row["kind"] == LedgerKind.KEYRING_REPLACED.value:
            signer = bytes.fromhex(read_leaf(row["leaf"]).facts["new"])
        if row["kind"] == LedgerKind.SIGNER_ROTATED.value:
            signer, problem = _handed_over(row["leaf"], signer)
            problems += [f"entry {index}: {problem}"] * (problem is not None)
        for checkpoint in [checkpoint for checkpoint in due if checkpoint.size == tree.size]:
            del due[checkpoint]
            signer = signer or read_key(issued[checkpoint]).public
            if checkpoint.root != tree.root():
                problems.append(f"the checkpoint of {checkpoint.size} entries has another root hash")
            if not _signed(checkpoint, signer):
                problems.append(f"the checkpoint of {checkpoint.size} entries is not signed by the ledger's signer")
    problems += [f"the checkpoint of {one.size} entries covers more than there are" for one in due if one.size]
    return LedgerCheck(tree.size, tree.root(), len(issued), tuple(problems))


async def _rows(ledger: Ledger) -> AsyncIterator[dict[str, Any]]:
    start, size = 0, await ledger.size()
    while start < size:
        async with ledger.database.reading(None) as connection:
            rows = await connection.fetch(statements.ROWS, start, min(start + _CHUNK, size))
        for row in rows:
            yield dict(row)
        start += _CHUNK


def _problem(row: dict[str, Any], index: int, peaks: dict[Node, bytes]) -> str | None:
    """What is wrong with one entry, given the peaks before it; None when it is right."""
    if row["index"] != index:
        return "is missing"
    try:
        leaf = read_leaf(row["leaf"])
    except EntryError:
        return "its leaf is not one"
    if (leaf.kind.value, leaf.actor, leaf.recorded_at) != (row["kind"], row["actor"], row["recorded_at"]):
        return "its leaf says something else than its columns"
    if b"".join(completed(row["leaf"], index, peaks.__getitem__)) != row["hashes"]:
        return "its stored hashes are not those of the tree"
    return None


async def _checkpoints(ledger: Ledger, problems: list[str]) -> dict[Checkpoint, str]:
    async with ledger.database.reading(None) as connection:
        rows = await connection.fetch(statements.CHECKPOINTS, -1, 2**31)
    found: dict[Checkpoint, str] = {}
    for row in rows:
        try:
            checkpoint = read_checkpoint(row["note"].encode())
            read_key(row["public_key"])
        except EvidenceError:
            problems.append(f"the checkpoint of {row['size']} entries cannot be read")
            continue
        if checkpoint.size != row["size"]:
            problems.append(f"the checkpoint of {row['size']} entries says {checkpoint.size}")
        found[checkpoint] = row["public_key"]
    return found


def _handed_over(leaf: bytes, signer: bytes | None) -> tuple[bytes | None, str | None]:
    """The signer after a SIGNER_ROTATED entry, and what is wrong with it: a forged one changes nothing."""
    try:
        old, new = read_rotation(read_leaf(leaf).facts)
    except EvidenceError as error:
        return signer, str(error)
    if signer not in (None, old):
        return signer, "the ledger is handed over by another than its signer"
    return new, None


def _signed(checkpoint: Checkpoint, signer: bytes) -> bool:
    try:
        return checkpoint.signed_by(VerifierKey(checkpoint.origin, signer))
    except EvidenceError:
        return False
