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
