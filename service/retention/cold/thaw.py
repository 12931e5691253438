"""Rows of files come back into their partitions, before what changes them: a hold, an erasure, a policy.

A file's rows and the end of its listing are one transaction, so that a reader sees each row once at every moment. The
file is removed right after it; after a crash in between, it is removed by the next round (`sweep`).
"""

import time
from datetime import datetime
from typing import Final

import asyncpg

from service.logs import get_logger
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.purge_runs import SYSTEM
from service.storage.cold.catalogue import ColdFile, cold_files, lock_file, remove_file
from service.storage.cold.errors import ColdFileError
from service.storage.cold.moving import bring_back
from service.storage.cold.tier import ColdTier
from service.storage.connection import Connection
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import quoted

log = get_logger()

ORPHANED_S: Final = 3600.0
"""How old a file that nothing lists is when it is removed: a younger one may be being written."""
_HELD_ACCOUNTS: Final = (
    "SELECT DISTINCT account_id FROM hold WHERE lifted_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
)
"""The accounts of which holds are in force."""
_NAMES: Final = "call_t*"
_PATIENCE: Final = "SET LOCAL lock_timeout = '5s'"


async def thaw(context: RetentionContext, file: ColdFile, *, actor: str) -> bool:
    """Bring the rows of one file back; whether it was there. Raises ColdFileError and PartitionsBusyError."""
    cold = tier_of(context)
    try:
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_PATIENCE)
            there = await thaw_into(context, connection, file, file.partition, actor=actor)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise PartitionsBusyError from error
    await cold.forget(file)
    if there:
        log.info("calls came back from a file", partition=file.partition, rows=file.rows)
    return there


async def thaw_into(
    context: RetentionContext, connection: Connection, file: ColdFile, table: str, *, actor: str
) -> bool:
    """Insert the rows of a file into `table`, and forget the file, in the transaction of `connection`; whether it was
    still listed. Who calls this removes the file after the commit.
    """
    now = await lock_file(connection, file.id)
    if now is None:
        return False
    if now.frozen:
        await bring_back(connection, tier_of(context), now, quoted(table))
        facts = {"partition": now.partition, "rows": now.rows, "sha256": f"sha256:{now.sha256}"}
        await entries.append(context.ledger, "PARTITION_THAWED", facts, actor=actor, connection=connection)
    await remove_file(connection, file.id)
    return True


async def thaw_account(context: RetentionContext, account: int, *, actor: str) -> int:
    """Bring back every file that has rows of an account; how many there were."""
    found = 0
    for file in await cold_files(context.owner):
        if await tier_of(context).has_account(file, account):
            found += await thaw(context, file, actor=actor)
    return found


async def thaw_between(
    context: RetentionContext, *, actor: str, start: datetime | None = None, end: datetime | None = None
) -> int:
    """Bring back every file that has a part of the time between two moments (None: open); how many there were."""
    found = 0
    for file in await cold_files(context.owner):
        if (end is None or file.start < end) and (start is None or start < file.end):
            found += await thaw(context, file, actor=actor)
    return found


async def thaw_held(context: RetentionContext) -> int:
    """Bring back every file that has rows of an account of which a hold is in force; how many there were."""
    files, found = await cold_files(context.owner), 0
    if files:
        for row in await context.owner.fetch(_HELD_ACCOUNTS):
            found += await thaw_account(context, row["account_id"], actor=SYSTEM)
    return found


def tier_of(context: RetentionContext) -> ColdTier:
    """What reads the files. Raises ColdFileError where this process has no folder of them."""
    if context.database.cold is None:
        raise ColdFileError("calls are in files of the cold tier, which this process does not have")
    return context.database.cold


async def sweep(context: RetentionContext) -> list[str]:
    """Remove files that nothing lists any more: a writing or a removal was interrupted. Returns their names."""
    cold = context.database.cold
    if cold is None or not cold.folder.is_dir():
        return []
    listed = {file.name for file in await cold_files(context.owner)}
    removed = []
    for path in sorted(cold.folder.glob(_NAMES)):
        if path.name not in listed and path.stat().st_mtime < time.time() - ORPHANED_S:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed
