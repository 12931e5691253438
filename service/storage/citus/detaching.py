"""Takes a partition of a distributed table away from it, without stopping readers.

Citus refuses DETACH CONCURRENTLY of a distributed table, but a shard's partition is a plain table of its worker. So
each shard's is detached there, and what Citus has of the partition on its nodes, which no row is in, afterwards. All
steps can be repeated: each looks at what is left to do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from service.storage.connection import Connection
from service.storage.schema.row_security import quoted

_TRY_S: Final = 2.0
"""For so long a try waits for readers that began before."""

_SHARDS: Final = """
    SELECT place.nodename, place.nodeport, shard_name($1::text::regclass, whole.shardid) AS parent,
        shard_name($2::text::regclass, place.shardid) AS child, state.result AS state
    FROM run_command_on_placements($2::text::regclass, $$
        SELECT coalesce((SELECT inhdetachpending::text FROM pg_inherits WHERE inhrelid = to_regclass(%L)), 'gone')
    $$) AS state
    JOIN citus_shards AS place USING (shardid, nodename, nodeport)
    JOIN pg_dist_shard AS part USING (shardid)
    JOIN pg_dist_shard AS whole ON whole.logicalrelid = $1::text::regclass AND whole.shardminvalue = part.shardminvalue
"""
"""The shards of a partition with those of its table; is each attached (`false`), going (`true`) or `gone`?"""
_RUN: Final = """
    SELECT node_name, success, result FROM master_run_on_worker($1::text[], $2::integer[], $3::text[], true)
"""
"""Runs a command on each shard's worker, outside a transaction, all at once."""
_IS_DISTRIBUTED: Final = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass($1))"
_ON_WORKERS: Final = "SELECT success, result FROM run_command_on_workers($1)"


async def detach_shards(connection: Connection, store: str, name: str) -> None:
    """Detach the partition's shards from those of its store; new statements do not see its rows from the start.

    Raises LockNotAvailableError when statements that began before outlast the try, or a worker cannot do it now.
    """
    if not await connection.fetchval(_IS_DISTRIBUTED, quoted(name)):
        return
    rows = [row for row in await connection.fetch(_SHARDS, store, quoted(name)) if row["state"] != "gone"]
    commands = [
        f"ALTER TABLE {row['parent']} DETACH PARTITION {row['child']} "
        + ("FINALIZE" if row["state"] == "true" else "CONCURRENTLY")
        for row in rows
    ]
    if commands:
        await _run_on_shards(connection, rows, commands)
    await _detach_on_workers(connection, store, name)


async def _run_on_shards(connection: Connection, rows: list[asyncpg.Record], commands: list[str]) -> None:
    hosts, ports = [row["nodename"] for row in rows], [row["nodeport"] for row in rows]
    try:
        async with asyncio.timeout(_TRY_S):
            done = await connection.fetch(_RUN, hosts, ports, commands)
    except TimeoutError:
        raise asyncpg.LockNotAvailableError("a reader of a shard outlasts the detaching of its partition") from None
    failed = [row["result"] for row in done if not row["success"]]
    if failed:
        raise asyncpg.LockNotAvailableError(f"a worker did not detach a partition: {failed[0]}")


async def _detach_on_workers(connection: Connection, store: str, name: str) -> None:
    """Detach what Citus has of the partition on its workers: tables without rows, by which they find shards."""
    command = f"""DO $$ BEGIN
        IF EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass('{quoted(name)}')) THEN
            SET LOCAL citus.enable_ddl_propagation = off;
            SET LOCAL lock_timeout = '2s';
            ALTER TABLE {store} DETACH PARTITION {quoted(name)};
        END IF;
    END $$"""  # noqa: S608 - names of our own
    for row in await connection.fetch(_ON_WORKERS, command):
        if not row["success"]:
            raise asyncpg.LockNotAvailableError(f"a worker did not detach a partition: {row['result']}")


@asynccontextmanager
async def on_this_node(connection: Connection) -> AsyncIterator[None]:
    """Have the statements of the block change this node's catalogue alone."""
    await connection.execute("SET citus.enable_ddl_propagation = off")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("RESET citus.enable_ddl_propagation")
