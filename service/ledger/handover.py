"""Handing the ledger over from the keyring's signer to a new one.

1. The keyring makes a successor and stores it.
2. One transaction appends the entry by which the old signer names it, and the checkpoint that both have signed. From
   this commit on the successor signs, in every process.
3. The entry is mirrored: a database that is restored from before it gets it back from the mirror.
4. The successor takes the signer's place in the keyring, and the old seed is gone.

After a crash before 2 the old one signs; after a crash later the new one does, and the next call continues with 3.
"""

from dataclasses import dataclass
from typing import Final

from policies.evidence import LedgerKind, Signer, VerifierKey
from service.ledger.publisher import LedgerPublisher
from service.storage.connection import advisory_lock

_LOCK: Final = 0x63616C6C_0021


@dataclass(frozen=True, slots=True)
class Handover:
    """Entry `index`, by which `old` named `new`. `finished`: an earlier call that was interrupted wrote it."""

    index: int
    old: VerifierKey
    new: VerifierKey
    finished: bool


async def hand_over(publisher: LedgerPublisher, *, actor: str) -> Handover:
    """Make a new signer and hand the ledger over to it, or finish doing so; a second caller waits.

    Raises KeyringUnavailableError before anything is written; LedgerSignerError when the keyring does not have this
    ledger's signer.
    """
    keyring, checkpoints = publisher.ledger.keyring, publisher.checkpoints
    # The lock is on the connection that commits, so that nobody makes another successor before that commit.
    async with advisory_lock(publisher.ledger.database.owner, _LOCK) as connection:
        seeds = await keyring.signers()
        signs = (await checkpoints.signer()).key
        finished = Signer(signs.name, seeds[0]).key != signs
        if not finished:
            await checkpoints.rotate_signer(await keyring.new_successor(), actor=actor, connection=connection)
        await publisher.mirror()
        await keyring.promote_successor()
        newest = await publisher.ledger.newest(LedgerKind.SIGNER_ROTATED)
    assert newest is not None
    index, facts = newest[0], newest[1].facts
    old, new = (VerifierKey(facts["origin"], bytes.fromhex(facts[name])) for name in ("old", "new"))
    return Handover(index, old, new, finished)
