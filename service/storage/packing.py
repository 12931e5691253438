"""Packs the indexes of past partitions, which are nearly half empty.

Calls arrive in order of time and from many accounts at once, so an index by account grows at as many places. PostgreSQL
splits a full page in half at each of them, and the older half is never filled again (its optimisation for ascending
keys works for keys of 16 bytes at most). An index of hashes doubles its pages each time they are filled to three
quarters, and leaves most of them to rows that a past partition does not get. Rebuilding an index once its partition is
past removes the empty space; docs/performance.md says how much. Readers and writers go on meanwhile.
"""

import time
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.storage.connection import Connection, advisory_lock_if_free
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions, quoted

PACKED_STORES: Final = (Store.CALL, Store.CALL_ERROR)
"""Stores whose partitions get rows in order of time, and so hardly any once they are past."""

ROWS_MIN: Final = 500
"""Smaller partitions have nothing to gain."""
WORK_S: Final = 60.0
"""How long a round of maintenance begins with further indexes: it should not keep a disk busy for long."""

_SETTLED: Final = timedelta(days=1)
_GROWTH: Final = 1.25
_FILLED: Final = {"btree": 100, "hash": 95}
"""To how many hundredths pages are filled. A bucket of hashes needs some room, for not all have as many."""
_LOCK: Final = 0x63616C6C_0005
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.ObjectInUseError)

# Four pages are an index of hashes without any.
_INDEXES: Final = """
    SELECT index.relname AS name, amname AS method,
        coalesce(substring(obj_description(index.oid, 'pg_class') FROM '^packed with ([0-9]{1,15}) rows$'), '0')::bigint
            AS rows
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_am ON pg_am.oid = index.relam
    WHERE indrelid = to_regclass($1) AND indisvalid AND amname = ANY ($2::text[])
        AND pg_relation_size(index.oid) > 4 * current_setting('block_size')::integer
    ORDER BY name
"""
"""The indexes of a partition that can be packed, and how many rows it had when they were."""
_LEFT_BEHIND: Final = """
    SELECT index.relname AS name FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    WHERE indrelid = to_regclass($1) AND NOT indisvalid AND index.relname ~ '_cc(new|old)[0-9]*$'
"""
"""Indexes that a rebuilding left behind unfinished."""
_ROWS: Final = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)"
"""The rows of a partition, as the rebuilding of an index counted them."""


async def pack(owner: asyncpg.Pool, partitions: Partitions, now: datetime, *, work_s: float = WORK_S) -> list[str]:
    """Pack indexes for so many seconds; their names. One is packed again when its partition has grown by a quarter.

    Returns an empty list while another process packs. Raises PartitionsBusyError when a reader outlasts a minute:
    nothing is lost.
    """
    async with advisory_lock_if_free(owner, _LOCK) as connection:
        if connection is None:
            return []
        await connection.execute("SET lock_timeout = '60s'")
        try:
            return await _pack(connection, partitions, now, time.monotonic() + work_s)
        except _BUSY as error:
            raise PartitionsBusyError from error
        finally:
            if not connection.is_closed():
                await connection.execute("RESET lock_timeout")


async def _pack(connection: Connection, partitions: Partitions, now: datetime, end: float) -> list[str]:
    """Pack the indexes of past partitions until `end`."""
    packed: list[str] = []
    for store in PACKED_STORES:
        for partition in await partitions.list(store):
            if partition.end + _SETTLED > now or partition.rows_estimate < ROWS_MIN:
                continue
            if not await _pack_partition(connection, partition, packed, end):
                return packed
    return packed


async def _pack_partition(connection: Connection, partition: Partition, packed: list[str], end: float) -> bool:
    """Pack a partition's indexes and add their names to `packed`; whether there is time left.

    What was left behind is removed first. A partition that is purged meanwhile needs no packing any more.
    """
    table = quoted(partition.name)
    try:
        for (name,) in await connection.fetch(_LEFT_BEHIND, table):
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(name)}")
        for name, method, rows in await connection.fetch(_INDEXES, table, list(_FILLED)):
            if partition.rows_estimate <= _GROWTH * rows:
                continue
            if time.monotonic() >= end:
                return False
            await connection.execute(f"ALTER INDEX {quoted(name)} SET (fillfactor = {_FILLED[method]})")
            await connection.execute(f"REINDEX INDEX CONCURRENTLY {quoted(name)}", timeout=3600)
            # Whoever is interrupted before this does it once more.
            if (counted := await connection.fetchval(_ROWS, table)) is None:
                return True
            await connection.execute(f"COMMENT ON INDEX {quoted(name)} IS 'packed with {counted:d} rows'")
            packed.append(name)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError):
        if await connection.fetchval(_ROWS, table) is not None:
            raise
    return True
