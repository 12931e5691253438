"""Calls of partitions that are long past move to files, one partition a transaction.

The steps, after each of which a crash leaves every row in exactly one place that answers:

1. the rows of a partition, in one snapshot, are written to a file that nothing lists, and synced;
2. the file is listed, and renamed. Its rows still answer from the partition; readers get to know the file meanwhile
   (`LEASE`);
3. in one transaction, under the lock that writers of late calls share: the partition is as it was when the file was
   written (or else the file is forgotten), its rows are deleted, and the file is marked as frozen, with an entry in the
   ledger.

The partition stays attached, empty: later reports go there, and the purge drops it as any other, with its file.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg

from policies.evidence import LedgerKind
from policies.policy.model import Store
from policies.retention import Partition, cutoff
from service.disk import sync
from service.logs import get_logger
from service.query.buckets.tier_days import TierDays
from service.retention.cold.thaw import thaw, tier_of
from service.retention.context import RetentionContext
from service.retention.holds.escrow import ACTIVE
from service.retention.locks import COLD, ERASURE, PURGE, WITHDRAWAL
from service.retention.rollups.unsummed import make_sums
from service.storage.cold.catalogue import (
    AGE_MIN,
    ColdFile,
    add_file,
    cold_files,
    lock_file,
    mark_frozen,
    remove_file,
    rewrites,
    take_lock,
)
from service.storage.cold.columns import column_types, rows_in_order
from service.storage.cold.errors import LOGGED, ColdFileError, ColdTierError, PyarrowMissingError, reason_of
from service.storage.cold.files import ColdFiles
from service.storage.connection import Connection, one_row
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import quoted
from service.storage.statements.write import LOGS_PARAMETERS

log = get_logger()

LEASE: Final = timedelta(minutes=2)
"""How long a file is listed before it answers. Every reader looks at the list every ten seconds, and no statement takes
half a minute."""
_LOGS: Final = f"SELECT {LOGS_PARAMETERS}"
"""Whether the server's log gets the parameters of statements."""
_CITUS: Final = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
"""Whether the database is spread over several."""
_LOCKS: Final = (COLD, PURGE, ERASURE, WITHDRAWAL)
_TRY: Final = "SELECT pg_try_advisory_lock($1)"
_UNLOCK: Final = "SELECT pg_advisory_unlock($1)"
# A row that is changed or moved has another xmin or ctid.
_STATE: Final = """
    SELECT count(*) AS rows,
        coalesce(sum(hashtextextended(xmin::text || ' ' || ctid::text, 0)::numeric), 0)::text AS fingerprint
    FROM {table}
"""
_LISTED_AS: Final = """
    SELECT fingerprint, copied_at + $2 <= clock_timestamp() AS is_known FROM cold_file WHERE id = $1
"""
"""How a partition was when its file was written, and whether readers know the file."""
_LOCK_ROWS: Final = "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"
_DELETE: Final = "DELETE FROM {table}"
"""Delete the rows of a partition that are in its file."""
# Whoever changes rows of several partitions in several transactions, and has not ended.
_UNDER_CHANGE: Final = "SELECT EXISTS (SELECT FROM erasure WHERE finished_at IS NULL)"
"""Whether an erasure has begun and not ended."""
_HELD: Final = f"""
    SELECT EXISTS (
        SELECT FROM hold AS held_by WHERE {ACTIVE} AND EXISTS (
            SELECT FROM {{table}} AS kept WHERE kept.account_id = held_by.account_id
        )
    )
"""  # noqa: S608 - names of our own
"""Whether a partition has rows of an account of which a hold is in force."""
_UNSUMMED: Final = """
    SELECT EXISTS (
        SELECT FROM usage_unsummed, cold_file
        WHERE partition = $1 AND of_tier = tier AND of_day >= start_at AND of_day < end_at AND sums <> '{}'
    )
"""
"""Whether a partition that has a file has days without some sums."""
_LOOSE: Final = "SELECT pg_total_relation_size(to_regclass($1)) > $2"
"""Whether a partition takes more than so many bytes."""
_EMPTY_BYTES: Final = 2**20

OnStep = Callable[[str], None]


def ignore_step(_: str) -> None:
    """The `OnStep` that does nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A partition that may move to a file; `reason` says why it may not yet (None: it may)."""

    partition: Partition
    reason: str | None = None


async def candidates(context: RetentionContext, age: timedelta | None) -> list[Candidate]:
    """The partitions of calls that ended longer ago than `age` (None: none) and have no file, and those whose file is
    to be written anew; oldest first.
    """
    now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
    again = await rewrites(context.owner)
    files = {(file.tier, file.start) for file in await cold_files(context.owner)}
    found = []
    catalogue = await context.partitions.catalogue([Store.CALL])
    for part in sorted(catalogue.partitions, key=lambda one: (one.start, one.tier)):
        least = AGE_MIN if part.name in again else age
        if least is None or (part.tier, part.start) in files or part.end + max(least, AGE_MIN) > now:
            continue
        if part.name not in catalogue.attached or part.end <= cutoff(context.policy(), part.tier, Store.CALL, now):
            continue  # it is the purge's
        state = await context.owner.fetchval(f"SELECT EXISTS (SELECT FROM {quoted(part.name)})")  # noqa: S608
        if state:
            found.append(Candidate(part, await _in_the_way(context.owner, part.name, now)))
    return found


async def freeze(
    context: RetentionContext,
    age: timedelta | None,
    *,
    actor: str,
    most: int | None = None,
    lease: timedelta = LEASE,
    on_step: OnStep = ignore_step,
) -> list[ColdFile]:
    """Go on with what was begun, and begin with up to `most` partitions; the files that answer from now on.

    Does nothing while another process freezes, purges, erases or removes fields. Raises ColdTierError.
    """
    if find_spec("pyarrow") is None:
        raise PyarrowMissingError
    if await context.owner.fetchval(_LOGS):
        raise ColdTierError(LOGGED)
    if await context.owner.fetchval(_CITUS):
        raise ColdTierError("calls do not move to files on Citus: their partitions are spread over its nodes")
    async with _alone(context.owner) as ours:
        if not ours:
            return []
        frozen = []
        for file in await cold_files(context.owner):
            if file.frozen:
                continue
            await make_sums(context.owner, TierDays(file.tier, file.start, file.end))
            if await finish(context, file, actor=actor, lease=lease, on_step=on_step):
                frozen.append(file)
        for one in [one for one in await candidates(context, age) if one.reason is None][:most]:
            part = one.partition
            await make_sums(context.owner, TierDays(part.tier, part.start, part.end))  # files are not read for sums
            await _begin(context, part, on_step)
        return frozen


async def finish(
    context: RetentionContext,
    file: ColdFile,
    *,
    actor: str,
    lease: timedelta = LEASE,
    on_step: OnStep = ignore_step,
) -> bool:
    """Delete the rows of a listed file from its partition, if readers know it by now; whether that was done.

    A file whose partition was changed meanwhile is forgotten, and one that is missing or is not as it was written.
    """
    if await asyncio.to_thread(_kept_digest, tier_of(context).files, file.name) != file.sha256:
        log.error("a copy of calls is not as it was written: its rows stay where they are", file=file.name)
        await thaw(context, file, actor=actor)
        return False
    on_step("file verified")
    table = quoted(file.partition)
    try:
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await take_lock(connection)
            now = await lock_file(connection, file.id)
            if now is None or now.frozen:
                return False
            await connection.execute(_LOCK_ROWS.format(table=table))
            listed = await one_row(connection, _LISTED_AS, file.id, lease)
            moment = await connection.fetchval("SELECT clock_timestamp()")
            if not listed["is_known"] or await _in_the_way(connection, file.partition, moment):
                return False
            state = await one_row(connection, _STATE.format(table=table))
            changed = (state["rows"], state["fingerprint"]) != (file.rows, listed["fingerprint"])
            if changed:
                await tier_of(context).forget(file)  # before its listing, without which it would be left for ever
                await remove_file(connection, file.id)
            else:
                await _move(context, connection, file, actor)
                on_step("rows deleted")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise PartitionsBusyError from error
    if changed:
        return False
    on_step("file frozen")
    await _reclaim(context, file)
    log.info("calls moved to a file", partition=file.partition, rows=file.rows, bytes=file.bytes)
    return True


async def _move(context: RetentionContext, connection: Connection, file: ColdFile, actor: str) -> None:
    await connection.execute(_DELETE.format(table=quoted(file.partition)))
    await mark_frozen(connection, file)
    facts = {
        "partition": file.partition,
        "rows": file.rows,
        "bytes": file.bytes,
        "sha256": f"sha256:{file.sha256}",
        "file": file.name,
    }
    await context.ledger.append(LedgerKind.PARTITION_FROZEN, facts, actor=actor, connection=connection)


async def _in_the_way(source: asyncpg.Pool | Connection, partition: str, now: datetime) -> str | None:
    """Why the partition may not move to a file now."""
    if await source.fetchval(_UNDER_CHANGE):
        return "an erasure is under way"
    if await source.fetchval(_UNSUMMED, partition):
        return "its sums are not made yet"
    if await source.fetchval(_HELD.format(table=quoted(partition)), now):
        return "a hold is in force on an account of it"
    return None


async def _begin(context: RetentionContext, part: Partition, on_step: OnStep) -> None:
    """Write the file of a partition, and list it."""
    files = tier_of(context).files
    name = f"{part.name}-{secrets.token_hex(8)}.parquet"
    unfinished = files.draft(name)
    try:
        async with (
            context.owner.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            state = await one_row(connection, _STATE.format(table=quoted(part.name)))
            rows = await _write(connection, part, unfinished)
        on_step("file written")
        if rows != state["rows"]:
            raise ColdTierError(f"`{part.name}` has {state['rows']} rows, and {rows} were written: nothing is changed")
        await asyncio.to_thread(sync, unfinished)
        sha256, size = await asyncio.to_thread(_sha256, unfinished), unfinished.stat().st_size
        file = ColdFile(0, part.tier, part.start, part.end, part.name, name, rows, size, sha256, False)
        async with context.owner.acquire() as connection:
            file = file._replace(id=await add_file(connection, file, state["fingerprint"]))
        on_step("file listed")
        await _keep(context, files, file)
    except OSError as error:
        raise ColdFileError(f"`{name}` cannot be written: {reason_of(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    on_step("file renamed")


async def _keep(context: RetentionContext, files: ColdFiles, file: ColdFile) -> None:
    """Make the file a complete one while nobody can take it from the list, and not if somebody has: a file that is not
    listed would be left for ever.
    """
    async with context.owner.acquire() as connection, connection.transaction():
        if await lock_file(connection, file.id) is None:
            return
        keeping = asyncio.create_task(asyncio.to_thread(files.keep, file.name))
        try:
            await asyncio.shield(keeping)
        finally:
            await asyncio.wait([keeping])  # a thread goes on after this was cancelled


async def _write(connection: Connection, part: Partition, path: Path) -> int:
    """Copy the rows of a partition to a new file, of mode 0600; how many were written."""
    from service.storage.cold.parquet import write_file

    types = await column_types(connection)
    given, taken = os.pipe()
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def write() -> int:
        """Write what comes through the pipe, to its end."""
        with os.fdopen(given, "rb") as rows:
            return write_file(path, types, rows)

    writing = asyncio.create_task(asyncio.to_thread(write))

    async def hand_over(data: bytes) -> None:
        """Hand over a piece of CSV; the pipe keeps it from being made faster than it is written."""
        await asyncio.to_thread(_write_all, taken, data)

    try:
        statement = rows_in_order(types, quoted(part.name))
        await connection.copy_from_query(statement, output=hand_over, format="csv")
    except BrokenPipeError:
        pass  # the writer has failed, and says why
    except BaseException:
        os.close(taken)
        with suppress(Exception):
            await writing
        raise
    os.close(taken)
    return await writing


def _write_all(taken: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(taken, view) :]


def _kept_digest(files: ColdFiles, name: str) -> str | None:
    """The digest of what is kept of a listed file; None for one that cannot be read."""
    try:
        return files.digest(name)
    except OSError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


async def _reclaim(context: RetentionContext, file: ColdFile) -> None:
    """Give back the space of deleted rows. Others may be in the way: autovacuum does it then."""
    table = quoted(file.partition)
    with suppress(asyncpg.PostgresError):
        if await context.owner.fetchval(_LOOSE, table, _EMPTY_BYTES):
            async with context.owner.acquire() as connection:
                await connection.execute(f"VACUUM (ANALYZE) {table}")
                await connection.execute(f"REINDEX TABLE CONCURRENTLY {table}")


@asynccontextmanager
async def _alone(owner: asyncpg.Pool) -> AsyncIterator[bool]:
    """Whether nobody else moves, purges, erases or changes rows, until the block ends."""
    async with owner.acquire() as connection:
        taken = []
        try:
            for lock in _LOCKS:
                if not await connection.fetchval(_TRY, lock):
                    break
                taken.append(lock)
            yield len(taken) == len(_LOCKS)
        finally:
            for lock in taken if not connection.is_closed() else ():
                await connection.execute(_UNLOCK, lock)
