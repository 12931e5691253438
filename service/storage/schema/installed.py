"""Which ledger this database is, and facts about it for `calledger status`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from service.storage.connection import advisory_lock, one_row
from service.storage.schema.models import Account, Installation, PurgeRun

_START_LOCK: Final = 0x63616C6C_0030
_HAS_LEDGER: Final = "SELECT to_regclass('installation') IS NOT NULL"
_FACTS: Final = "SELECT current_setting('server_version'), pg_size_pretty(pg_database_size(current_database()))"


async def has_ledger(url: str) -> bool:
    """Whether the database at `url`, which must answer, has a ledger."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(_HAS_LEDGER)
    finally:
        await connection.close()


async def installation() -> Installation | None:
    """The record of this ledger; None before its first start has finished."""
    return await Installation.get_or_none(id=1)


async def install(database_id: UUID, now: datetime) -> None:
    """Record which ledger this is, at its first start."""
    await Installation.create(id=1, database_id=database_id, created_at=now)


async def mark_as_demo() -> None:
    """Record that this ledger holds invented data."""
    await Installation.filter(id=1).update(demo=True)


async def any_account() -> bool:
    """Whether the ledger has an account."""
    return await Account.exists()


async def list_accounts() -> list[Account]:
    """Every account, sorted by name."""
    return await Account.all().order_by("name")


async def count_accounts() -> int:
    """The number of accounts."""
    return await Account.all().count()


async def newest_purge() -> PurgeRun | None:
    """The purge that was planned last; None if there was none."""
    return await PurgeRun.all().order_by("-planned_at").first()


async def server_facts(owner: asyncpg.Pool) -> tuple[str, str]:
    """The server's version, and the size of the database in a unit for people."""
    version, size = await one_row(owner, _FACTS)
    return version.split()[0], size


@asynccontextmanager
async def starting_alone(owner: asyncpg.Pool) -> AsyncIterator[None]:
    """Keep other first starts waiting: one makes the keyring, the policy and the first key, and the next finds them."""
    async with advisory_lock(owner, _START_LOCK):
        yield
