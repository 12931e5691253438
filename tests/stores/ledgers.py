"""A ledger on a test's database, with a real keyring and mirror."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from service.keyring import Keyring, create_kek_file, open_keyring
from service.ledger import Ledger
from service.storage.database import Database

DATABASE_ID = UUID("6f1c8a52-0000-4000-8000-000000000001")


async def new_keyring(folder: Path) -> Keyring:
    kek = folder / "kek"
    if not kek.exists():
        create_kek_file(kek)
    keyring = folder / "keyring"
    return await open_keyring(f"file:{keyring}", f"file:{kek}", create=not keyring.exists())


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
