"""`calledger scale-out citus`: what a cluster has to be, and the tables of calls spread over its workers by account."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from service.storage.citus.engine import CITUS, DISTRIBUTED
from service.storage.connection import Connection
from service.storage.errors import DatabaseError
from service.storage.schema.row_security import ROLES, WHOLE_ON_EACH_NODE, quoted

SHARDS: Final = 8
"""As many shards a table by default: each costs a statement for every partition that is made and every report over all
accounts, and no more than so many workers can share a table.
"""
LEAST_MAJOR: Final = 13
LEAST_VERSION: Final = f"{LEAST_MAJOR}.0"
GUIDE: Final = "docs/scale.md says how"
NOT_THERE: Final = (
    "files of the cold tier (`calledger cold`), the packing of the indexes of past partitions, and runs of `calledger "
    "fsck` that leave out what is unchanged"
)
"""What a distributed ledger goes without."""
_FUNCTIONS: Final = ("calledger_latency_bucket(integer)", "calledger_latency_sketch(smallint, numeric)")
"""What statements have the workers compute."""

_VERSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
_GROUP: Final = "SELECT groupid FROM pg_dist_local_group"
_NODES: Final = """
    SELECT groupid, nodename, nodeport FROM pg_dist_node
    WHERE noderole = 'primary' AND isactive AND (groupid = 0 OR shouldhaveshards) ORDER BY groupid
"""
_DONE: Final = """
    SELECT logicalrelid::text AS name FROM pg_dist_partition
    WHERE logicalrelid::text = ANY ($1) AND partmethod IN ('h', 'n')
"""
_SHARDS: Final = "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'call'::regclass"
_SIZES: Final = """
    SELECT name, sum(greatest(c.reltuples, 0))::bigint AS rows, sum(pg_total_relation_size(c.oid))::bigint AS bytes
    FROM unnest($1::text[]) WITH ORDINALITY AS listed (name, place)
    JOIN pg_class AS c ON c.oid = name::regclass
        OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = name::regclass)
    GROUP BY name, place ORDER BY place
"""
_OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'calledger' AND pid <> pg_backend_pid()
"""
"""The connections of a service that runs."""
_ANSWERS: Final = "SELECT nodename, nodeport, success, result FROM run_command_on_workers('SELECT 1')"
_HAS_COLD_FILES: Final = "SELECT to_regclass('cold_file') IS NOT NULL"
"""False before the migration that made the table."""
_COLD_FILES: Final = "SELECT count(*) FROM cold_file"
_DATABASE: Final = "SELECT quote_ident(current_database())"
_ROLES: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND pg_has_role(current_user, oid, 'MEMBER')"


@dataclass(frozen=True, slots=True)
class TableStep:
    """One table that is to be moved. `kind`: `by account`, or `whole, on every node`."""

    table: str
    kind: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a cluster is, and what is still to be done. `workers`: their addresses; `shards`: of a table of calls."""

    version: str
    workers: tuple[str, ...]
    shards: int
    steps: tuple[TableStep, ...]


async def plan(connection: Connection, shards: int = SHARDS) -> Distribution:
    """What distributing this database will do. DatabaseError, which says what to do, when it cannot."""
    version = await connection.fetchval(_VERSION)
    if version is None:
        raise DatabaseError(
            "this database has no Citus: on the coordinator and every worker install it, start PostgreSQL with "
            f"`shared_preload_libraries = 'citus'`, and run CREATE EXTENSION citus in this database; {GUIDE}"
        )
    if int(version.partition(".")[0]) < LEAST_MAJOR:
        raise DatabaseError(f"this is Citus `{version}`: calledger needs {LEAST_VERSION} or later")
    if await connection.fetchval(_GROUP) != 0:
        raise DatabaseError("this is a worker: CALLEDGER_DATABASE_URL has to name the coordinator")
    nodes = await connection.fetch(_NODES)
    workers = tuple(f"{row['nodename']}:{row['nodeport']}" for row in nodes if row["groupid"])
    if not workers:
        raise DatabaseError(
            "the coordinator has no worker: as a superuser run SELECT citus_set_coordinator_host('COORDINATOR', 5432) "
            f"and, for each worker, SELECT citus_add_node('WORKER', 5432); {GUIDE}"
        )
    done = {row["name"] for row in await connection.fetch(_DONE, [*WHOLE_ON_EACH_NODE, *DISTRIBUTED])}
    left = [table for table in (*WHOLE_ON_EACH_NODE, *DISTRIBUTED) if table not in done]
    if not left:
        raise DatabaseError(f"this ledger is distributed already, over {len(workers)} workers: there is nothing to do")
    if await connection.fetchval(_HAS_COLD_FILES) and (files := await connection.fetchval(_COLD_FILES)):
        raise DatabaseError(
            f"the calls of {files} partitions are in files of the cold tier, which are not read on Citus: bring them "
            "back with `calledger cold thaw`, and leave CALLEDGER_COLD_DAYS out from then on"
        )
    if "call" in done:
        shards = await connection.fetchval(_SHARDS)
    steps = [
        TableStep(row["name"], "whole, on every node" if row["name"] in WHOLE_ON_EACH_NODE else "by account", *row[1:])
        for row in await connection.fetch(_SIZES, left)
    ]
    return Distribution(version, workers, shards, tuple(steps))


async def described(connection: Connection) -> str | None:
    """The cluster in a line, for `calledger status`; None without Citus."""
    version = await connection.fetchval(_VERSION)
    if version is None:
        return None
    workers = sum(row["groupid"] != 0 for row in await connection.fetch(_NODES))
    done = [row["name"] for row in await connection.fetch(_DONE, list(DISTRIBUTED))]
    if len(done) < len(DISTRIBUTED):
        return f"{version}, {workers} workers; not distributed: `calledger scale-out citus`"
    return f"{version}, {workers} workers, calls by account in {await connection.fetchval(_SHARDS)} shards"


async def refuse_unreachable(connection: Connection) -> None:
    """DatabaseError unless the owner and each of the two roles can log in on every worker."""
    usable = [row["rolname"] for row in await connection.fetch(_ROLES, list(ROLES))]
    for role in (None, *usable):
        async with connection.transaction():
            if role is not None:
                await connection.execute(f"SET LOCAL ROLE {quoted(role)}")
            for row in await connection.fetch(_ANSWERS):
                if not row["success"]:
                    who = "the owner of the database" if role is None else f"the role `{role}`"
                    raise DatabaseError(
                        f"{who} cannot log in on the worker `{row['nodename']}:{row['nodeport']}`: make it a LOGIN "
                        f"role on every node, with its password in the coordinator's pg_dist_authinfo; {GUIDE}"
                    )


async def distribute(url: str, *, shards: int = SHARDS) -> Distribution:
    """Distribute what is not distributed yet, a table a transaction; returns what was done.

    A table that is being moved takes no rows meanwhile. Who is interrupted starts again, and goes on with what is left.
    Raises DatabaseError as `plan` and `refuse_unreachable` do, and while a service runs, whose connections were opened
    for a database without workers: its scoped reads would find nothing.
    """
    connection = await asyncpg.connect(
        url, server_settings={"application_name": "calledger scale-out", **CITUS.settings}
    )
    try:
        planned = await plan(connection, shards)
        await refuse_unreachable(connection)
        if await connection.fetchval(_OTHERS):
            raise DatabaseError("a service works in this database: stop it, and start it again afterwards")
        await connection.execute("SELECT set_config('citus.shard_count', $1, false)", str(planned.shards))
        # Our trigger looks at nothing but the row that is changed.
        await connection.execute("SET citus.enable_unsafe_triggers = on")
        for function in _FUNCTIONS:
            await connection.execute("SELECT create_distributed_function($1)", function)
        for step in planned.steps:
            if step.table in WHOLE_ON_EACH_NODE:
                await connection.execute("SELECT create_reference_table($1::text::regclass)", step.table)
            else:
                await connection.execute(
                    "SELECT create_distributed_table($1::text::regclass, 'account_id')", step.table
                )
        await _settle(connection)
        return planned
    finally:
        await connection.close()


async def _settle(connection: Connection) -> None:
    """Give every later connection to the database the settings that it wants, whoever opens it."""
    database = await connection.fetchval(_DATABASE)
    for name, value in CITUS.settings.items():
        await connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
