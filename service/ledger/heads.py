"""What the keyring notes of the ledger: its length when it was last signed, and its root hash.

The database and its mirror can be restored to an older state together; the keyring is stored elsewhere. So a ledger
that is shorter than the keyring noted, or that begins differently, was cut or rewritten, and nothing is noted over that
until an operator accepts the loss (`calledger ledger accept-loss`).
"""

from typing import Final

from policies.evidence import LedgerKind, read_checkpoint
from service.ledger.checkpoints import Checkpoints
from service.ledger.errors import LedgerRangeError
from service.ledger.store import Ledger

_SIZE_BYTES: Final = 8
_ROOT_BYTES: Final = 24


async def history_problem(ledger: Ledger) -> str | None:
    """What is missing of the history that the keyring noted, in words; None when nothing is.

    Raises KeyringUnavailableError.
    """
    noted = await ledger.keyring.head()
    if noted is None:
        return None
    size, root = int.from_bytes(noted[:_SIZE_BYTES]), noted[_SIZE_BYTES:]
    there = await ledger.size()
    if there < size:
        return f"history was cut: the keyring remembers {size} entries, and the ledger ends after {there}"
    if (await ledger.root(size))[:_ROOT_BYTES] != root:
        return f"history was rewritten: the ledger does not begin with the {size} entries that the keyring remembers"
    return None


async def note_newest(ledger: Ledger) -> None:
    """Note the newest checkpoint in the keyring, unless the keyring has noted something that the ledger has lost."""
    issued = await Checkpoints(ledger).latest()
    if issued is None or await history_problem(ledger) is not None:
        return
    checkpoint = read_checkpoint(issued.note.encode())
    head = checkpoint.size.to_bytes(_SIZE_BYTES) + checkpoint.root[:_ROOT_BYTES]
    noted = await ledger.keyring.head()
    if noted is None or noted[:_SIZE_BYTES] < head[:_SIZE_BYTES]:
        await ledger.keyring.note_head(head)


async def accept_loss(ledger: Ledger, *, reason: str, actor: str) -> int:
    """Continue with what is left: an entry RESTORED says what the keyring had noted and why it is given up. Returns its
    index.

    LedgerRangeError when nothing is missing.
    """
    problem, noted = await history_problem(ledger), await ledger.keyring.head()
    if problem is None or noted is None:
        raise LedgerRangeError("nothing of the ledger is missing: there is no loss to accept")
    checkpoints = Checkpoints(ledger)
    origin = await checkpoints.origin()
    lost = {"old_size": int.from_bytes(noted[:_SIZE_BYTES]), "old_root": noted[_SIZE_BYTES:].hex()}
    facts = {"origin": origin, "old_origin": origin, **lost}
    index = await ledger.append(LedgerKind.RESTORED, facts, actor=actor, note=reason)
    checkpoint = read_checkpoint((await checkpoints.sign()).note.encode())
    await ledger.keyring.note_head(checkpoint.size.to_bytes(_SIZE_BYTES) + checkpoint.root[:_ROOT_BYTES])
    return index
