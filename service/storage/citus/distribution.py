"""`calledger scale-out citus`: what a cluster has to be, and the tables of calls spread over its workers by account."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from service.storage.citus.engine import CITUS, DISTRIBUTED
from service.storage.connection import Connection
from service.storage.errors import DatabaseError
from service.storage.schema.migrate import LOCK, migrate
from service.storage.schema.row_security import ROLES, WHOLE_ON_EACH_NODE, WRITTEN_ON_EACH_NODE, quoted

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
_MOVED: Final = (*WHOLE_ON_EACH_NODE, *DISTRIBUTED)
_TABLES: Final = (*_MOVED, *WRITTEN_ON_EACH_NODE)

BY_ACCOUNT: Final = "by account"
WHOLE: Final = "whole, on every node"
WRITTEN: Final = "here, written to by every node"
EMPTIED: Final = "moved before, its copy here goes"

_VERSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
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
    SELECT name, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows,
        coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
        coalesce(sum(pg_relation_size(c.oid)), 0) > 0 AS is_filled, count(c.oid) = 0 AS is_absent
    FROM unnest($1::text[]) WITH ORDINALITY AS listed (name, place)
    LEFT JOIN pg_class AS c ON c.oid = to_regclass(name)
        OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(name))
    GROUP BY name, place ORDER BY place
"""
"""What the coordinator itself has of each table: nothing but pages of empty indexes once it has been moved."""
_OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database()
        AND application_name IN ('calledger', 'calledger maintenance', 'calledger maintenance 2')
"""
"""The connections of a service that runs."""
_LOCK: Final = "SELECT pg_advisory_lock($1)"
_EMPTY_HERE: Final = "SELECT truncate_local_data_after_distributing_table($1::text::regclass)"
"""Distributing a table copies it: its rows, those of persons who are erased later too, stay on the coordinator, where
no statement sees them, and no purge.
"""
_ANSWERS: Final = "SELECT nodename, nodeport, success, result FROM run_command_on_workers('SELECT 1')"
_HAS_COLD_FILES: Final = "SELECT to_regclass('cold_file') IS NOT NULL"
"""False before the migration that made the table."""
_COLD_FILES: Final = "SELECT count(*) FROM cold_file"
"""How many partitions have their calls in files."""
_HAS_UNSUMMED: Final = "SELECT to_regclass('usage_unsummed') IS NOT NULL"
"""False before the migration that made the table."""
_UNSUMMED: Final = "SELECT count(*) FROM usage_unsummed WHERE sums <> '{}'"
"""How many days of tiers have no rows in some table of sums."""
_DATABASE: Final = "SELECT quote_ident(current_database())"
_ROLES: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND pg_has_role(current_user, oid, 'MEMBER')"


@dataclass(frozen=True, slots=True)
class TableStep:
    """One table that is to be moved, or whose rows still lie on the coordinator.

    `kind`: BY_ACCOUNT, WHOLE, WRITTEN, EMPTIED.
    """

    table: str
    kind: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a cluster is, and what is still to be done. `workers`: their addresses; `shards`: of a table of calls;
    `is_new`: there is no ledger yet.
    """

    version: str
    workers: tuple[str, ...]
    shards: int
    steps: tuple[TableStep, ...]
    is_new: bool


async def plan(connection: Connection, shards: int = SHARDS) -> Distribution:
    """What distributing this database will do. DatabaseError, which says what to do, when it cannot."""
    version, workers = await _cluster(connection)
    done = await _moved(connection)
    if not done:
        await _refuse_cold(connection)
    if "call" in done:
        shards = await connection.fetchval(_SHARDS)
    sizes = await connection.fetch(_SIZES, list(_TABLES))
    steps = [
        TableStep(row["name"], EMPTIED if row["name"] in done else _kind(row["name"]), row["rows"], row["bytes"])
        for row in sizes
        if row["name"] not in done or row["is_filled"]
    ]
    return Distribution(version, workers, shards, tuple(steps), all(row["is_absent"] for row in sizes))


async def _cluster(connection: Connection) -> tuple[str, tuple[str, ...]]:
    """The version of Citus and the workers' addresses; DatabaseError where they will not do."""
    version = await connection.fetchval(_VERSION)
    if version is None:
        raise DatabaseError(
            "this database has no Citus: on the coordinator and every worker install it, start PostgreSQL with "
            f"`shared_preload_libraries = 'citus'`, and run CREATE EXTENSION citus in this database; {GUIDE}"
        )
    if int(version.partition(".")[0]) < LEAST_MAJOR:
        raise DatabaseError(f"this is Citus `{version}`: calledger needs {LEAST_VERSION} or later")
    nodes = await connection.fetch(_NODES)
    workers = tuple(f"{row['nodename']}:{row['nodeport']}" for row in nodes if row["groupid"])
    if not workers:
        raise DatabaseError(
            "the coordinator has no worker: as a superuser run SELECT citus_set_coordinator_host('COORDINATOR', 5432) "
            f"and, for each worker, SELECT citus_add_node('WORKER', 5432); {GUIDE}"
        )
    return version, workers


async def _refuse_cold(connection: Connection) -> None:
    if await connection.fetchval(_HAS_COLD_FILES) and (files := await connection.fetchval(_COLD_FILES)):
        raise DatabaseError(
            f"the calls of {files} partitions are in files of the cold tier, which are not read on Citus: bring them "
            "back with `calledger cold thaw`, and leave CALLEDGER_COLD_DAYS out from then on"
        )


async def refuse_unsummed(connection: Connection) -> None:
    """DatabaseError where days have no sums, so that their calls have to be read, which are not on the coordinator."""
    if await connection.fetchval(_HAS_UNSUMMED) and (days := await connection.fetchval(_UNSUMMED)):
        raise DatabaseError(
            f"{days} days have fewer sums than Citus wants: before this ledger comes to a server with Citus, run "
            "`calledger rebuild-sums --every-day` where it is, with the service stopped"
        )


def _kind(table: str) -> str:
    if table in WRITTEN_ON_EACH_NODE:
        return WRITTEN
    return WHOLE if table in WHOLE_ON_EACH_NODE else BY_ACCOUNT


async def _moved(connection: Connection) -> set[str]:
    """Those of the tables that Citus has already."""
    return {row["name"] for row in await connection.fetch(_DONE, list(_TABLES))}


def refuse_finished(planned: Distribution) -> None:
    """DatabaseError where nothing is left to do."""
    if not planned.steps:
        raise DatabaseError(
            f"this ledger is distributed already, over {len(planned.workers)} workers: there is nothing to do"
        )


async def refuse_half_moved(connection: Connection) -> None:
    """DatabaseError where `distribute` was interrupted: a service would ask tables of both kinds as if of one."""
    done = await _moved(connection)
    left = [f"`{table}`" for table in _MOVED if table not in done]
    if done and left:
        raise DatabaseError(
            f"a part of this ledger is on the workers of its Citus cluster, and {', '.join(left)} not: run `calledger "
            "scale-out citus` again, which goes on where it was interrupted"
        )


async def described(connection: Connection) -> str | None:
    """The cluster in a line, for `calledger status`; None without Citus."""
    version = await connection.fetchval(_VERSION)
    if version is None:
        return None
    workers = sum(row["groupid"] != 0 for row in await connection.fetch(_NODES))
    done = await _moved(connection)
    if not done.issuperset(DISTRIBUTED):
        return f"{version}, {workers} workers; not distributed: `calledger scale-out citus`"
    found = f"{version}, {workers} workers, calls by account in {await connection.fetchval(_SHARDS)} shards"
    if done.issuperset(WRITTEN_ON_EACH_NODE):
        return found
    return f"{found}; calls go through the coordinator: `calledger scale-out citus` once more sends them straight there"


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
    """Migrate the database, and distribute what is not distributed yet, a table a transaction; returns what was done.

    A table that is being moved takes no rows meanwhile, and leaves none on the coordinator. Who is interrupted starts
    again, and goes on with what is left. A service that is started meanwhile waits until all is moved.

    Raises DatabaseError as `plan` and `refuse_unreachable` do, before anything is changed, and while a service runs,
    whose connections were opened for a database without workers: its scoped reads would find nothing.
    """
    connection = await asyncpg.connect(
        url, server_settings={"application_name": "calledger scale-out", **CITUS.settings}
    )
    try:
        planned = await plan(connection, shards)
        await refuse_unreachable(connection)
        if planned.steps:
            await _refuse_service(connection)
            await migrate(url)
            # Whoever starts migrates first, and waits for this lock.
            await connection.execute(_LOCK, LOCK)
            await _refuse_service(connection)
            planned = await plan(connection, shards)
        # Before the first table: those that are moved need it, even if nobody comes to an end here.
        await _settle(connection)
        refuse_finished(planned)
        await _move(connection, planned)
        return planned
    finally:
        await connection.close()


async def _refuse_service(connection: Connection) -> None:
    if await connection.fetchval(_OTHERS):
        raise DatabaseError("a service works in this database: stop it, and start it again afterwards")


async def _move(connection: Connection, planned: Distribution) -> None:
    """Take each step; a table's rows leave the coordinator once they are on the workers."""
    await connection.execute("SELECT set_config('citus.shard_count', $1, false)", str(planned.shards))
    # Our trigger looks at nothing but the row that is changed.
    await connection.execute("SET citus.enable_unsafe_triggers = on")
    for function in _FUNCTIONS:
        await connection.execute("SELECT create_distributed_function($1)", function)
    for step in planned.steps:
        if step.kind == WHOLE:
            await connection.execute("SELECT create_reference_table($1::text::regclass)", step.table)
        elif step.kind == BY_ACCOUNT:
            await connection.execute("SELECT create_distributed_table($1::text::regclass, 'account_id')", step.table)
        elif step.kind == WRITTEN:
            await connection.execute("SELECT citus_add_local_table_to_metadata($1::text::regclass)", step.table)
            continue
        await connection.execute(_EMPTY_HERE, step.table)


async def _settle(connection: Connection) -> None:
    """Give every later connection to the database the settings that it wants, whoever opens it."""
    database = await connection.fetchval(_DATABASE)
    for name, value in CITUS.settings.items():
        await connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
