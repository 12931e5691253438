"""Packs the key indexes of past partitions, which are nearly half empty.

Calls arrive in order of time and from many accounts at once, so an index by account grows at as many places. PostgreSQL
splits a full page in half at each of them, and the older half is never filled again (its optimisation for ascending
keys works for keys of 16 bytes at most). Rebuilding the index once the partition is past removes the empty space;
docs/performance.md says how much. Readers and writers go on meanwhile.
"""

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Store
from service.storage.connection import Connection, advisory_lock_if_free
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions, quoted

PACKED_STORES: Final = (Store.CALL, Store.CALL_ERROR)
"""Stores whose keys have a fixed size, so that the empty part of an index can be computed."""

ROWS_MIN: Final = 500
"""Smaller partitions have nothing to gain."""
AT_ONCE_MAX: Final = 4
"""Indexes packed in one round of maintenance: it should not keep a disk busy for long."""

_SETTLED: Final = timedelta(days=1)
_ENTRY_BYTES: Final = 44 / 0.9  # a tuple of the key and its pointer, in pages that are filled to nine tenths
_LOOSE_FACTOR: Final = 1.25
_OWN_BYTES: Final = 3 * 8192  # the first two pages, and a last one that is not full
_LOCK: Final = 0x63616C6C_0005
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.ObjectInUseError)

_KEY: Final = """
    SELECT index.relname AS name, pg_relation_size(index.oid) AS bytes
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    WHERE indrelid = to_regclass($1) AND indisprimary AND indisvalid
"""
"""The key index of a partition, and its size."""
# Invalid indexes that an interrupted rebuild left behind.
_LEFT_BEHIND: Final = """
    SELECT index.relname AS name FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    WHERE indrelid = to_regclass($1) AND NOT indisvalid AND index.relname ~ '_cc(new|old)[0-9]*$'
"""
"""Indexes that a rebuilding left behind unfinished."""


async def pack(owner: asyncpg.Pool, partitions: Partitions, now: datetime) -> list[str]:
    """Pack up to AT_ONCE_MAX indexes; their names. A packed index is not packed again.

    Returns an empty list while another process packs. Raises PartitionsBusyError when a reader outlasts a minute:
    nothing is lost.
    """
    async with advisory_lock_if_free(owner, _LOCK) as connection:
        if connection is None:
            return []
        await connection.execute("SET lock_timeout = '60s'")
        try:
            return await _pack(connection, partitions, now)
        except _BUSY as error:
            raise PartitionsBusyError from error
        finally:
            if not connection.is_closed():
                await connection.execute("RESET lock_timeout")


async def _pack(connection: Connection, partitions: Partitions, now: datetime) -> list[str]:
    """Build one partition's key index anew, and remove what was left behind."""
    packed: list[str] = []
    for store in PACKED_STORES:
        for partition in await partitions.list(store):
            if partition.end + _SETTLED > now or partition.rows_estimate < ROWS_MIN:
                continue
            for (name,) in await connection.fetch(_LEFT_BEHIND, quoted(partition.name)):
                await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(name)}")
            key = await connection.fetchrow(_KEY, quoted(partition.name))
            if key is not None and key["bytes"] > _LOOSE_FACTOR * _ENTRY_BYTES * partition.rows_estimate + _OWN_BYTES:
                await connection.execute(f"REINDEX INDEX CONCURRENTLY {quoted(key['name'])}", timeout=3600)
                packed.append(key["name"])
            if len(packed) == AT_ONCE_MAX:
                return packed
    return packed
