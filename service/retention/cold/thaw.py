"""Rows of files come back into their partitions, before what changes them: a hold, an erasure, a policy.

A file's rows and the end of its listing are one transaction, so that a reader sees each row once at every moment. The
file is removed right after it; after a crash in between, it is removed by a later round (`sweep`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from policies.evidence import LedgerKind
from policies.policy.model import Store
from policies.retention import Partition
from service.logs import get_logger
from service.retention.cold.ledgered import ledgered_files
from service.retention.context import RetentionContext
from service.retention.purge_runs import SYSTEM
from service.storage.cold.catalogue import ColdFile, ask_rewrite, cold_files, lock_file, remove_file
from service.storage.cold.errors import ColdFileError, reason_of
from service.storage.cold.files import ColdFiles, is_draft
from service.storage.cold.moving import bring_back
from service.storage.cold.tier import ColdTier
from service.storage.connection import Connection
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import quoted

log = get_logger()

ORPHANED_S: Final = 3600.0
"""How old a file is when it matters that nothing lists it: a younger one may be being written or removed."""
_HELD_ACCOUNTS: Final = (
    "SELECT DISTINCT account_id FROM hold WHERE lifted_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
)
"""The accounts of which holds are in force."""
_PATIENCE: Final = "SET LOCAL lock_timeout = '5s'"


async def thaw(context: RetentionContext, file: ColdFile, *, actor: str, again: bool = False) -> bool:
    """Bring the rows of one file back; whether it was there. They move to a new file later, if they do `again`.

    Raises ColdFileError and PartitionsBusyError.
    """
    cold = tier_of(context)
    try:
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute(_PATIENCE)
            there = await thaw_into(context, connection, file, file.partition, actor=actor)
            if there and again:
                await ask_rewrite(connection, file.partition)
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
        facts = {"partition": now.partition, "rows": now.rows, "sha256": f"sha256:{now.sha256}", "file": now.name}
        await context.ledger.append(LedgerKind.PARTITION_THAWED, facts, actor=actor, connection=connection)
    elif context.database.cold is not None:
        # A copy goes before its listing: one that nothing lists would be left for ever.
        await context.database.cold.forget(now)
    await remove_file(connection, file.id)
    return True


async def thaw_account(context: RetentionContext, account: int, *, actor: str, again: bool = False) -> int:
    """Bring back every file that has rows of an account, as `thaw` does; how many there were.

    Raises ColdFileError or PartitionsBusyError for files that do not come back, when all others have.
    """
    cold = tier_of(context) if (files := await cold_files(context.owner)) else None

    async def bring(file: ColdFile) -> bool:
        """Bring the file back if it has such rows."""
        assert cold is not None, "there is a file"
        try:
            found = await cold.has_account(file, account)
        except ColdFileError:
            if file.frozen:
                raise
            found = True  # a copy: its rows are in their partition still
        return found and await thaw(context, file, actor=actor, again=again)

    return await _each(files, bring)


async def thaw_accounts(context: RetentionContext, accounts: Collection[int], *, actor: str) -> dict[int, Exception]:
    """Bring back every file that has rows of these accounts, for their erasure; why that of some cannot end: rows do
    not come back, or a file whose rows did cannot be removed.
    """
    failures = dict[int, Exception]()
    for account in accounts:
        try:
            await thaw_account(context, account, actor=actor, again=True)
        except (ColdFileError, PartitionsBusyError) as error:
            failures[account] = error
    try:
        if accounts:
            await remove_done(context)
    except ColdFileError as error:
        failures = dict.fromkeys(accounts, error) | failures
    return failures


async def thaw_between(
    context: RetentionContext, *, actor: str, start: datetime | None = None, end: datetime | None = None
) -> int:
    """Bring back every file that has a part of the time between two moments (None: open), until what is to change has
    changed; how many there were.

    Raises ColdFileError or PartitionsBusyError for files that do not come back, when all others have.
    """
    files = [
        file
        for file in await cold_files(context.owner)
        if (end is None or file.start < end) and (start is None or start < file.end)
    ]
    return await _each(files, lambda file: thaw(context, file, actor=actor, again=True))


async def _each(files: Iterable[ColdFile], bring: Callable[[ColdFile], Awaitable[bool]]) -> int:
    """Bring back one file after the other; how many were. What fails is raised when all others have come back."""
    found, failures = 0, list[Exception]()
    for file in files:
        try:
            found += await bring(file)
        except (ColdFileError, PartitionsBusyError) as error:
            failures.append(error)
    if failures:
        raise failures[0]
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
    """Remove what an interrupted writing or removal has left: unfinished files, and those that the ledger says are done
    with. Returns their names. Raises ColdFileError.

    Other files that this database does not list are kept: they can be another's, of which this one is a copy.
    """
    cold = context.database.cold
    if cold is None:
        return []
    try:
        left = await unlisted(context)
        done = await _done_with(context, left)
        removed = [name for name in left if is_draft(name) or name in done]
        await cold.retain({file.name for file in await cold_files(context.owner)})
        try:
            await _remove_each(cold.files, removed)
        finally:
            await asyncio.to_thread(cold.files.end_uploads)
    except OSError as error:
        raise ColdFileError(f"files of calls that are done with cannot be removed: {reason_of(error)}") from error
    kept = [name for name in left if name not in removed]
    if kept:
        log.warning(
            "this database does not list files of the cold tier that are there", files=kept[:3], count=len(kept)
        )
    return removed


async def remove_done(context: RetentionContext) -> None:
    """Remove the files that a fault or a crash has left behind the end of their listing: until then what is erased can
    be read there. Raises ColdFileError.
    """
    cold = context.database.cold
    if cold is None:
        return
    try:
        await _remove_each(cold.files, sorted(await _done_with(context, await unlisted(context, at_once=True))))
    except OSError as error:
        raise ColdFileError(f"files of calls that are done with cannot be removed: {reason_of(error)}") from error


async def _remove_each(files: ColdFiles, names: Iterable[str]) -> None:
    """Remove these files. One that cannot be removed keeps no other; raises its OSError when all were tried."""
    if failures := await _kept_back(files, names):
        raise next(iter(failures.values()))


async def _kept_back(files: ColdFiles, names: Iterable[str]) -> dict[str, OSError]:
    """Remove these files; why those that are left could not be."""
    failures = dict[str, OSError]()
    for name in names:
        try:
            await asyncio.to_thread(files.remove, name)
        except OSError as error:
            failures[name] = error
    return failures


async def _done_with(context: RetentionContext, names: Iterable[str]) -> set[str]:
    """Those of these names that the ledger says are done with."""
    named = {name for name in names if not is_draft(name)}
    return named & (await ledgered_files(context)).done.keys() if named else named


async def files_left(context: RetentionContext, purged: Collection[Partition]) -> list[str]:
    """The names of the files of purged partitions that are still there, or may be: each is tried once more. What is
    left is tried again by every round of `sweep`.
    """
    partitions = {part.name for part in purged if part.store is Store.CALL}
    done = (await ledgered_files(context)).done if partitions else {}
    names = {name: partition for name, partition in done.items() if partition in partitions}
    # Where nothing can be listed: the last one of each, since those before it are seldom left.
    last = sorted({partition: name for name, partition in names.items()}.values())
    cold = context.database.cold
    if cold is None or not names:
        return last
    try:
        there = {one.name for one in await asyncio.to_thread(cold.files.names)}
    except OSError:
        return last
    return sorted(await _kept_back(cold.files, sorted(names.keys() & there)))


def said_of_left(names: Sequence[str]) -> str | None:
    """What an operator is told of these files; None: nothing."""
    if not names:
        return None
    log.error("files of purged calls are left: maintenance tries again", files=names[:3], count=len(names))
    return f"{len(names)} files of purged calls could not be removed, and are tried again: {', '.join(names[:3])}"


async def unlisted(context: RetentionContext, *, at_once: bool = False) -> list[str]:
    """The files that have been there for `ORPHANED_S`, or are there `at_once`, without being listed. Raises OSError."""
    cold = context.database.cold
    if cold is None:
        return []
    found = [one.name for one in await asyncio.to_thread(cold.files.names) if at_once or one.age_s > ORPHANED_S]
    listed = {file.name for file in await cold_files(context.owner)} if found else set[str]()
    return [name for name in found if name not in listed]
