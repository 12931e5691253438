"""The replacement of a lost keyring in the ledger: the entry that records it, and the signer from then on.

The old signer is lost with its keyring and cannot name the new one. So nothing proves that the new signer is the
owner's: the entry says so, and auditors need the new key by the same way as the old one.
"""

from uuid import UUID

import asyncpg

from policies.evidence import LedgerKind, Signer, read_leaf
from service.keyring import Keyring, KeyringReplacedError
from service.ledger import statements
from service.ledger.checkpoints import Checkpoints
from service.ledger.store import Ledger
from service.storage.connection import Connection


async def keyring_in_force(owner: asyncpg.Pool, database_id: UUID) -> tuple[UUID, int | None]:
    """The id of the keyring that this ledger works with, and the entry that began it.

    The first keyring has the ledger's id and no entry.
    """
    row = await owner.fetchrow(statements.NEWEST_OF_KIND, LedgerKind.KEYRING_REPLACED.value)
    return (database_id, None) if row is None else (UUID(read_leaf(row["leaf"]).facts["keyring"]), row["index"])


async def refuse_replaced(owner: asyncpg.Pool, keyring: Keyring, database_id: UUID) -> None:
    """Raise KeyringReplacedError for a keyring of this ledger that is not the one in force."""
    wanted, index = await keyring_in_force(owner, database_id)
    if keyring.id != wanted:
        since = "" if index is None else f" since entry {index} of the ledger"
        raise KeyringReplacedError(
            f"the keyring {keyring.describe()} is `{keyring.id}`, and this ledger works with `{wanted}`{since}:"
            " restore that one"
        )


async def record_replacement(
    ledger: Ledger, *, api_keys: int, keys: int, reason: str | None, actor: str, connection: Connection
) -> int:
    """Append the entry by which the keyring of `ledger` replaces the lost one, with a checkpoint over it; its index.

    `keys`: how many were lost with it; `api_keys`: how many were revoked, because their pepper was lost too.
    """
    checkpoints = Checkpoints(ledger)
    origin = await checkpoints.origin()
    old_keyring, _ = await keyring_in_force(ledger.database.owner, ledger.database_id)
    old, signer = await checkpoints.known_key(), Signer(origin, await ledger.keyring.secret("signer"))
    facts = {
        "origin": origin,
        "old_keyring": str(old_keyring),
        "keyring": str(ledger.keyring.id),
        "old": old and old.hex(),
        "new": signer.key.public.hex(),
        "keys": keys,
        "api_keys": api_keys,
    }
    index = await ledger.append(LedgerKind.KEYRING_REPLACED, facts, actor=actor, note=reason, connection=connection)
    await checkpoints.issue(connection, index + 1, signer)
    return index
