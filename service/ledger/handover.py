"""Handing the ledger over to another signer, from the keyring's signer to a new one.

1. The keyring makes a successor, which waits.
2. One transaction appends the entry by which the old signer names it, and the checkpoint that both have signed. From
   this commit on the successor signs, in every process.
3. The entry is mirrored: a database that is restored from before it gets it back from there.
4. The successor takes the signer's place in the keyring, and the old seed is gone.

Killed before 2, the old one signs; killed after it, the new one does, and the next call goes on with 3.
"""

from dataclasses import dataclass
from typing import Final

from policies.evidence import LedgerKind, Signer, VerifierKey
from service.ledger.keeping import LedgerKeeper

_LOCK: Final = 0x63616C6C_0021
_ALONE: Final = "SELECT pg_advisory_lock($1)"
_DONE: Final = "SELECT pg_advisory_unlock($1)"


@dataclass(frozen=True, slots=True)
class Handover:
    """Entry `index`, by which `old` named `new`. `finished`: an earlier call that was cut short wrote it."""

    index: int
    old: VerifierKey
    new: VerifierKey
    finished: bool


async def hand_over(keeper: LedgerKeeper, *, actor: str) -> Handover:
    """Make a new signer and hand the ledger over to it, or finish doing so; a second caller waits.

    Raises KeyringUnavailableError when the keyring is away, before anything is written; LedgerSignerError when it does
    not have this ledger's signer.
    """
    keyring, checkpoints = keeper.ledger.keyring, keeper.checkpoints
    async with keeper.ledger.database.owner.acquire() as connection:
        # On the connection that commits: until that commit is decided, nobody else makes a successor.
        await connection.execute(_ALONE, _LOCK)
        try:
            seeds = await keyring.signers()
            signs = (await checkpoints.signer()).key
            finished = Signer(signs.name, seeds[0]).key != signs
            if not finished:
                await checkpoints.rotate_signer(await keyring.new_successor(), actor=actor, connection=connection)
            await keeper.mirror()
            await keyring.promote_successor()
            newest = await keeper.ledger.newest(LedgerKind.SIGNER_ROTATED)
        finally:
            await connection.execute(_DONE, _LOCK)
    assert newest is not None
    index, facts = newest[0], newest[1].facts
    old, new = (VerifierKey(facts["origin"], bytes.fromhex(facts[name])) for name in ("old", "new"))
    return Handover(index, old, new, finished)
