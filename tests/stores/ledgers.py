"""A ledger on a test's database, with a real keyring and mirror."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from policies import Role
from policies.evidence import LedgerKind, moment
from service.access.keys import mac_digest, new_key
from service.keyring import Keyring, create_kek_file, open_keyring
from service.ledger import Ledger
from service.storage.database import Database
from service.storage.schema.models import ApiKey

DATABASE_ID = UUID("6f1c8a52-0000-4000-8000-000000000001")


async def new_keyring(folder: Path) -> Keyring:
    kek = folder / "kek"
    if not kek.exists():
        create_kek_file(kek)
    keyring = folder / "keyring"
    return await open_keyring(f"file:{keyring}", f"file:{kek}", create=not keyring.exists())


async def recorded_key(
    ledger: Ledger, role: Role = Role.ADMIN, accounts: Sequence[int] | None = None, **changes: Any
) -> str:
    """The text of a new API key in the table, with `changes` there, and in the ledger."""
    key, ends = new_key(await ledger.keyring.secret("pepper")), changes.get("expires_at")
    reached = list(accounts or ()) or None
    await ApiKey.create(
        prefix=key.prefix, role=role, accounts=reached, mac=key.mac, created_at=datetime.now(UTC), **changes
    )
    facts = {"key": key.prefix, "role": role.value, "accounts": reached}
    facts |= {"expires_at": ends and moment(ends), "mac": mac_digest(key.mac)}
    await ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="cli")
    return key.text


@asynccontextmanager
async def open_ledger(url: str, folder: Path) -> AsyncIterator[Ledger]:
    """The ledger of the database at `url`, with the keyring in `folder`."""
    database = await Database.open(url, read_connections=2)
    try:
        yield Ledger(database, await new_keyring(folder), DATABASE_ID)
    finally:
        await database.close()


async def forget(ledger: Ledger, size: int) -> None:
    """Take the database back to when it had `size` entries, as restoring a backup does."""
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")
        await connection.execute("ALTER TABLE ledger_checkpoint DISABLE TRIGGER append_only")
        await connection.execute("DELETE FROM ledger_entry WHERE index >= $1", size)
        await connection.execute("DELETE FROM ledger_note WHERE index >= $1", size)
        await connection.execute("DELETE FROM ledger_checkpoint WHERE size > $1", size)
        await connection.execute("ALTER TABLE ledger_entry ENABLE TRIGGER append_only")
        await connection.execute("ALTER TABLE ledger_checkpoint ENABLE TRIGGER append_only")
