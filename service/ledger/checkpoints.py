"""Signed checkpoints: the root hash of the ledger at a size, in a form that others keep and compare.

The origin names the ledger: `calledger/<database id>`, followed by `/2` and so on where a restored database and the
mirror had diverged. The signer is the keyring's. A SIGNER_ROTATED entry, signed by the old signer, names a new one;
where the keyring was lost a KEYRING_REPLACED entry does, which nobody could sign.
"""

from datetime import timedelta
from typing import Final

import asyncpg

from policies.evidence import LedgerKind, Signer, read_key
from service.ledger import statements
from service.ledger.errors import LedgerSignerError
from service.ledger.signed_checkpoint import SignedCheckpoint
from service.ledger.store import Ledger, prove
from service.storage.connection import Connection, one_row

ENTRIES_MAX: Final = 100
AGE_MAX: Final = timedelta(minutes=5)


class Checkpoints:
    """Signs and stores checkpoints of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    async def origin(self) -> str:
        """The ledger's name now."""
        restored = await self._ledger.newest(LedgerKind.RESTORED)
        return first_origin(self._ledger) if restored is None else str(restored[1].facts["origin"])

    async def signer(self) -> Signer:
        """The signer now: the keyring's, or its successor from the moment that the ledger was handed over to it.

        Raises LedgerSignerError when the keyring does not have the signer of this ledger.
        """
        origin, known = await self.origin(), await self.known_key()
        signer = Signer(origin, await self._ledger.keyring.secret("signer"))
        if known in (None, signer.key.public):
            return signer
        # The cached signer may be an earlier one, and an interrupted handover leaves the new one as the successor.
        for seed in await self._ledger.keyring.signers():
            signer = Signer(origin, seed)
            if known == signer.key.public:
                return signer
        raise LedgerSignerError

    async def latest(self) -> SignedCheckpoint | None:
        """The newest checkpoint that was issued; None before the first."""
        async with self._database.reading(None) as connection:
            return _checkpoint(await connection.fetchrow(statements.NEWEST_CHECKPOINT))

    async def at(self, size: int) -> SignedCheckpoint | None:
        """The checkpoint of `size` entries; None if none was issued."""
        async with self._database.reading(None) as connection:
            return _checkpoint(await connection.fetchrow(statements.CHECKPOINT, size))

    async def near(self, size: int) -> tuple[int | None, int | None]:
        """The nearest sizes, smaller and larger, of issued checkpoints; None where there is none."""
        async with self._database.reading(None) as connection:
            row = await one_row(connection, statements.NEAR_CHECKPOINTS, size)
        return row["smaller"], row["larger"]

    async def sign(self) -> SignedCheckpoint:
        """The checkpoint of all entries that exist now, issued if it was not yet."""
        # The signer is fetched before the lock is taken, because the keyring may be on another host.
        await self.signer()
        async with self._database.writer.acquire() as connection, connection.transaction():
            # Signed under the ledger's lock, so that the ledger is not handed over meanwhile.
            head = await one_row(connection, statements.HEAD, statements.LEDGER_LOCK)
            return await self.issue(connection, head["size"], await self.signer())

    async def sign_if_due(self) -> bool:
        """Sign when 100 entries, or one for five minutes, have no checkpoint; whether it was due."""
        async with self._database.reading(None) as connection:
            row = await one_row(connection, statements.UNSIGNED)
        due = row["entries"] >= ENTRIES_MAX or (row["entries"] > 0 and row["age"] >= AGE_MAX)
        if due:
            await self.sign()
        return due

    async def rotate_signer(self, successor_seed: bytes, *, actor: str, connection: Connection | None = None) -> int:
        """Hand the ledger over to another signer: an entry by which the old one names the new, and a checkpoint signed
        by both. Returns the entry's index.

        It uses a transaction on `connection` where one is given. The keyring must have both signers
        (`service.ledger.handover`). A second call with the same successor does nothing.
        """
        if connection is None:
            async with self._database.owner.acquire() as own:
                return await self.rotate_signer(successor_seed, actor=actor, connection=own)
        last = await self._ledger.newest(LedgerKind.SIGNER_ROTATED)
        successor = Signer(await self.origin(), successor_seed)
        if last is not None and last[1].facts["new"] == successor.key.public.hex():
            return last[0]
        signer = await self.signer()
        async with connection.transaction():
            index = await self._ledger.append(
                LedgerKind.SIGNER_ROTATED, signer.rotation(successor), actor=actor, connection=connection
            )
            await self.issue(connection, index + 1, successor, signer)
        return index

    async def covering(self, connection: Connection, size: int, signer: Signer) -> SignedCheckpoint | None:
        """The first checkpoint that `signer` issued of at least `size` entries; None without one."""
        return _checkpoint(await connection.fetchrow(statements.COVERING_CHECKPOINT, size, str(signer.key)))

    async def issue(self, connection: Connection, size: int, signer: Signer, *others: Signer) -> SignedCheckpoint:
        """The checkpoint of the first `size` entries, issued in the transaction of `connection` if it was not yet."""
        issued = _checkpoint(await connection.fetchrow(statements.CHECKPOINT, size))
        if issued is not None:
            return issued
        root, _ = await prove(connection, size, [])
        note = signer.checkpoint(size, root, *others)
        await connection.execute(statements.ADD_CHECKPOINT, size, None, note, str(signer.key))
        stored = _checkpoint(await connection.fetchrow(statements.CHECKPOINT, size))
        assert stored is not None
        return stored

    async def known_key(self) -> bytes | None:
        """The public key that signs now, as the ledger itself says; None before anything was signed."""
        kinds = (LedgerKind.SIGNER_ROTATED, LedgerKind.KEYRING_REPLACED)
        named = [newest for kind in kinds if (newest := await self._ledger.newest(kind)) is not None]
        latest = await self.latest()
        if named:
            index, leaf = max(named, key=lambda newest: newest[0])
            if latest is None or index >= latest.size:
                return bytes.fromhex(leaf.facts["new"])
        return None if latest is None else read_key(latest.public_key).public


def first_origin(ledger: Ledger) -> str:
    """The origin before any divergence: `calledger/<database id>`."""
    return f"calledger/{ledger.database_id}"


def _checkpoint(row: asyncpg.Record | None) -> SignedCheckpoint | None:
    return None if row is None else SignedCheckpoint(row["size"], row["issued_at"], row["note"], row["public_key"])
