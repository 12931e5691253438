"""On a Citus cluster: what is there only, and what must hold there too while nodes come, go and work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from citus_cluster import CitusServer, psql
from ingesting import RECENT, Ingest, call, eventually, ingesting
from retaining import RetainedLedger, failed
from running import RunningService, bare_command

from service.ingest.results import Status
from service.keyring import AccountKeyName, PeriodKeyName
from service.ledger import LedgerKind
from service.retention.audit.fsck import CHECKS
from service.retention.audit.incremental.run import FsckRun
from service.retention.lost_keys import lost_on_record
from service.retention.rollups.compaction import Compaction
from service.storage.citus.distribution import BY_ACCOUNT, EMPTIED, WHOLE, WRITTEN, distribute
from service.storage.citus.engine import CITUS, DISTRIBUTED
from service.storage.citus.proof import missing_proof
from service.storage.connection import ScopedConnection
from service.storage.database import Database
from service.storage.errors import DatabaseError, DatabaseUnavailableError, PartitionsBusyError
from service.storage.partitions import Partitions
from service.storage.schema.installed import has_ledger
from service.storage.schema.migrate import migrate

pytestmark = pytest.mark.citus
SUPERUSER = "postgres"
TABLES = """
    SELECT table_name::text AS table, citus_table_type AS kind FROM citus_tables WHERE table_name::text !~ '_t[0-9]'
"""
LEFT_HERE = "SELECT sum(pg_relation_size(logicalrelid)) FROM pg_dist_partition"
"""Bytes of rows that the coordinator has kept of tables that were moved, and of their partitions."""
WORKERS_OF_ACCOUNTS = """
    SELECT account.name || ' ' || nodeport || ' ' || nodename
    FROM account JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('call', account.id)
    JOIN pg_dist_node USING (groupid)
"""
ACCOUNTS = [f"account-{number}" for number in range(8)]


def calls(count: int, prefix: str = "c") -> list[dict[str, Any]]:
    """Calls of accounts that lie on both workers."""
    return [
        call(f"{prefix}{number}", account=ACCOUNTS[number % len(ACCOUNTS)], cost="0.25", currency="USD")
        for number in range(count)
    ]


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


async def test_tables_of_calls_are_distributed_by_account(ingest: Ingest) -> None:
    """Calls lie on both workers, all of an account's on one; holds are everywhere, and all else on the coordinator."""
    await ingest.report(*calls(24))

    tables = {row["table"]: row["kind"] for row in await ingest.fetch(TABLES)}
    assert tables == dict.fromkeys(DISTRIBUTED, "distributed") | {"hold": "reference", "stored_on_worker": "local"}
    places = await ingest.fetch("""
        SELECT nodeport || nodename AS worker, sum(result::integer) AS calls
        FROM run_command_on_shards('call', 'SELECT count(*) FROM %s') JOIN citus_shards USING (shardid)
        WHERE success GROUP BY 1
    """)
    assert sum(row["calls"] for row in places) == 24
    assert len([row for row in places if row["calls"]]) == 2


async def test_status_proves_by_reads_that_accounts_are_kept_apart(ingest: Ingest) -> None:
    """A setting that does not reach the workers is found out by a read: by the catalogue, all is well."""
    assert await missing_proof(ingest.database.owner, ingest.database.reading, ingest.database.engine) is None
    await ingest.report(*calls(8))
    engine = ingest.database.engine
    assert await missing_proof(ingest.database.owner, ingest.database.reading, engine) is None

    @asynccontextmanager
    async def unpropagated(accounts: tuple[int, ...]) -> AsyncIterator[asyncpg.Connection]:
        """A scoped connection as on PostgreSQL alone."""
        role = {"role": "calledger_app"}
        connection = await asyncpg.connect(ingest.url, connection_class=ScopedConnection, server_settings=role)
        await connection.see_only(accounts)
        yield connection
        await connection.close()

    unseen = await missing_proof(ingest.database.owner, unpropagated, engine)
    assert unseen is not None and "show no rows" in unseen
    await ingest.database.owner.execute("DROP POLICY scoped ON call")
    await ingest.database.owner.execute("CREATE POLICY scoped ON call FOR SELECT TO calledger_app USING (true)")
    shown = await missing_proof(ingest.database.owner, ingest.database.reading, engine)
    assert shown is not None and "other accounts" in shown


async def test_lost_keys_are_found_on_the_workers(retained: RetainedLedger) -> None:
    """`status` names the keys of an account and of a day that the ledger has as lost and that details were sealed
    with, and none that nothing was.
    """
    await retained.report(failed("old"))
    keys = (AccountKeyName, PeriodKeyName)
    names = sorted(str(name) for name in await retained.ingest.keyring.names() if isinstance(name, keys))
    facts = {"keys": [*names, "account/99"], "replaced": True}
    await retained.ledger.append(LedgerKind.KEY_LOST, facts, actor="system")
    assert await lost_on_record(retained.retention, 9) == []
    await retained.ingest.database.owner.execute("UPDATE call_error SET sealed = '\\x00'")
    found = await lost_on_record(retained.retention, 9)
    assert [line.partition(" ")[0] for line in found] == names
    assert len(names) >= 2


async def test_a_transaction_of_a_scoped_reader_sees_its_accounts(ingest: Ingest) -> None:
    """Reads, and cursors, see a reader's accounts and no others: alone, in one transaction and in the next."""
    await ingest.report(*calls(16))
    first, other = [row[0] for row in await ingest.fetch("SELECT DISTINCT account_id FROM call ORDER BY 1 LIMIT 2")]
    counted, listed = "SELECT count(*) FROM call", "SELECT account_id FROM call"
    for accounts, rows in (((first,), 2), ((first, other), 4), ((), 0)):
        async with ingest.database.reading(accounts) as connection:
            assert await connection.fetchval(counted) == rows
            for _ in range(2):
                async with connection.transaction(readonly=True):
                    assert await connection.fetchval(counted) == rows
                async with connection.transaction(readonly=True):
                    await connection.execute("SET LOCAL statement_timeout = '20s'")
                    cursor = await connection.cursor(listed)
                    assert {row[0] for row in await cursor.fetch(99)} == set(accounts)
            assert await connection.fetchval(counted) == rows


async def test_what_is_distributed_is_not_distributed_again(
    embedded_18: CitusServer, database_url: str, tmp_path: Path
) -> None:
    """The second time it says that there is nothing to do; a table that was left out is caught up with."""
    environment = {"CALLEDGER_DATABASE_URL": database_url}
    again = bare_command("scale-out", "citus", "--data", str(tmp_path), environment=environment)
    assert (again.returncode, "distributed already, over 2 workers" in again.stderr) == (1, True)

    psql(embedded_18.url(database_url.rpartition("/")[2]), "SELECT undistribute_table('call_held')")
    dry = bare_command("scale-out", "citus", "--dry-run", "--data", str(tmp_path), environment=environment)
    assert (dry.returncode, dry.stdout.splitlines()[1].split("\t")[:3]) == (0, ["call_held", "by account", "0"])
    assert "not there on Citus: files of the cold tier" in dry.stdout + dry.stderr
    done = bare_command("scale-out", "citus", "--data", str(tmp_path), environment=environment)
    assert done.returncode == 0, done.stderr
    assert "call_held" in done.stdout


async def test_a_filled_ledger_is_distributed_as_it_is(
    embedded_18: CitusServer, empty_database_url: str, tmp_path: Path
) -> None:
    """A ledger that was filled on the coordinator alone is moved whole; nothing is moved while its service runs."""
    await migrate(empty_database_url)
    folder = tmp_path / "ring"
    folder.mkdir()
    async with ingesting(empty_database_url, folder) as ingest:
        await ingest.report(*calls(40))
        before = await ingest.fetch("SELECT account_id, id, amount FROM call ORDER BY 2")
        with pytest.raises(DatabaseError, match="a service works in this database"):
            await distribute(empty_database_url, shards=2)
    dry = await distribute(empty_database_url, shards=2)
    assert [step.table for step in dry.steps] == ["hold", *DISTRIBUTED, "stored_on_worker"]

    database = await Database.open(empty_database_url)
    assert database.missing_protections == ()
    assert await database.owner.fetch("SELECT account_id, id, amount FROM call ORDER BY 2") == before
    assert await database.owner.fetchval(LEFT_HERE) == 0
    async with database.reading((before[0]["account_id"],)) as connection:
        assert await connection.fetchval("SELECT count(*) FROM call") == 5
    await database.close()


async def test_a_move_that_was_interrupted_is_finished(
    embedded_18: CitusServer, empty_database_url: str, tmp_path: Path
) -> None:
    """No service starts on a ledger that is moved in part; the next run moves the rest, frees what the coordinator
    still has of what was moved before, and gives the database its settings even where nothing else is left to do.
    """
    url, name = empty_database_url, empty_database_url.rpartition("/")[2]
    await migrate(url)
    async with ingesting(url, tmp_path) as ingest:
        await ingest.report(*calls(40), failed("f", RECENT))
    psql(
        url,
        "SET citus.enable_unsafe_triggers = on",
        "SET citus.shard_count = 2",
        "SELECT create_reference_table('hold')",
        "SELECT create_distributed_table('call', 'account_id')",
    )
    with pytest.raises(
        DatabaseError, match="`call_held`, `call_error_held` not: run `calledger scale-out citus` again"
    ):
        await Database.open(url)

    done = await distribute(url, shards=2)
    assert [(step.table, step.kind) for step in done.steps] == [
        ("call", EMPTIED),
        *((table, BY_ACCOUNT) for table in DISTRIBUTED[1:]),
        ("stored_on_worker", WRITTEN),
    ]
    database = await Database.open(url)
    assert database.missing_protections == ()
    assert await database.owner.fetchval(LEFT_HERE) == 0
    assert await database.owner.fetchval("SELECT count(*) FROM call JOIN account ON account.id = account_id") == 41
    assert await database.owner.fetchval("SELECT count(*) FROM call_error") == 1
    await database.close()

    psql(embedded_18.url(name, user=SUPERUSER), f"ALTER DATABASE {name} RESET ALL")
    with pytest.raises(DatabaseError, match="distributed already, over 2 workers: there is nothing to do"):
        await distribute(url)
    shown = psql(url, *(f"SHOW {setting}" for setting in CITUS.settings)).split()
    assert shown == list(CITUS.settings.values())


async def test_a_service_that_starts_waits_until_all_is_moved(empty_database_url: str) -> None:
    """Who starts while tables are moved waits, and who has migrated before is refused: nobody serves half of it."""
    url = empty_database_url
    await migrate(url)
    writer = await asyncpg.connect(url)

    async def waits(kind: str) -> bool:
        """Whether a session waits for such a lock."""
        return await writer.fetchval("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = $1)", kind)

    async with asyncio.TaskGroup() as group:
        async with writer.transaction():
            await writer.execute("LOCK TABLE call IN ROW EXCLUSIVE MODE")
            moving = group.create_task(distribute(url, shards=2))
            await eventually(lambda: waits("relation"))
            starting = group.create_task(migrate(url))
            await eventually(lambda: waits("advisory"))
            with pytest.raises(DatabaseError, match="run `calledger scale-out citus` again"):
                await Database.open(url)
            assert not moving.done()
            assert not starting.done()
        await starting
        await (await Database.open(url)).close()
    await writer.close()


async def test_a_new_database_is_planned_and_refused_as_it_is(
    embedded_18: CitusServer, empty_database_url: str, tmp_path: Path
) -> None:
    """A dry run says that all is distributed empty; neither it nor a run that is refused makes a table."""
    url = empty_database_url
    command = ("scale-out", "citus", "--data", str(tmp_path))
    dry = bare_command(*command, "--dry-run", environment={"CALLEDGER_DATABASE_URL": url})
    assert dry.returncode == 0, dry.stderr
    steps = [line.split("\t") for line in dry.stdout.splitlines() if "\t" in line]
    by_account = [[table, BY_ACCOUNT, "0", "0"] for table in DISTRIBUTED]
    assert steps == [["hold", WHOLE, "0", "0"], *by_account, ["stored_on_worker", WRITTEN, "0", "0"]]
    assert "all distributed empty" in dry.stdout

    service = await asyncpg.connect(url, server_settings={"application_name": "calledger"})
    with pytest.raises(DatabaseError, match="a service works in this database"):
        await distribute(url)
    await service.close()
    remove = "SELECT citus_remove_node(nodename, nodeport) FROM pg_dist_node WHERE groupid <> 0"
    psql(embedded_18.url(url.rpartition("/")[2], user=SUPERUSER), remove)
    refused = bare_command(*command, environment={"CALLEDGER_DATABASE_URL": url})
    assert (refused.returncode, "the coordinator has no worker" in refused.stderr) == (1, True)
    assert not await has_ledger(url)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("SELECT citus_remove_node(nodename, nodeport) FROM pg_dist_node WHERE groupid <> 0", "has no worker"),
        (
            "UPDATE pg_dist_authinfo SET authinfo = 'password=wrong' WHERE rolename = 'calledger_app'",
            "`calledger_app` cannot log in",
        ),
        ("DROP EXTENSION citus", "has no Citus"),
        (
            """
            INSERT INTO cold_file (tier, start_at, end_at, partition, name, rows, bytes, sha256, fingerprint, copied_at)
            VALUES (1, '2026-01-05Z', '2026-01-12Z', 'call_t1_20260105', 'x.parquet', 1, 1, '', '', now())
            """,
            "1 partitions are in files of the cold tier",
        ),
    ],
)
async def test_a_cluster_that_is_not_ready_is_refused(
    embedded_18: CitusServer, empty_database_url: str, broken: str, said: str
) -> None:
    """What a cluster lacks is named before anything is changed, with what to do about it."""
    await migrate(empty_database_url)
    name = empty_database_url.rpartition("/")[2]
    psql(embedded_18.url(name, user=SUPERUSER), broken)
    with pytest.raises(DatabaseError, match=said):
        await distribute(empty_database_url)


async def test_costs_by_account_are_right_while_they_are_compacted(ingest: Ingest) -> None:
    """Every scoped read during compactions has each account's calls once: in the sums, or waiting to be."""
    await ingest.report(*calls(8, "first"))
    number = await ingest.value("SELECT min(account_id) FROM call")
    statement = """
        SELECT coalesce((SELECT sum(calls) FROM usage_delta WHERE account_id = $1), 0)
            + coalesce((SELECT sum(calls) FROM usage_quarter WHERE account_id = $1), 0) AS summed
    """
    done = asyncio.Event()

    async def write() -> None:
        """Report, a call an account at a time."""
        for batch in range(20):
            await ingest.report(*calls(8, f"b{batch}-"))
        done.set()

    async def compact() -> None:
        """Compact a few deltas at a time."""
        while not done.is_set():
            await compaction_of(ingest, rows=3).compact()

    async def read() -> list[int]:
        """What is summed at each moment."""
        seen = []
        async with ingest.database.reading((number,)) as connection:
            while not done.is_set():
                seen.append(int(await connection.fetchval(statement, number)))
        return seen

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        group.create_task(write())
        group.create_task(compact())
    seen = reading.result()
    assert seen == sorted(seen)
    assert set(seen) <= set(range(1, 22))


async def test_fsck_reads_what_the_workers_have(retained: RetainedLedger) -> None:
    """The coordinator's partitions of calls are empty, and are looked at nevertheless: a changed call is found."""
    await retained.report(failed("old"))
    run = await FsckRun.open(retained.retention)
    assert (await CHECKS["ids"](run)).ok
    await retained.ingest.database.owner.execute("UPDATE call SET source_id = 'another'")
    assert not (await CHECKS["ids"](await FsckRun.open(retained.retention))).ok


async def test_a_long_reader_stops_no_purge_and_nobody_waits_for_it(retained: RetainedLedger) -> None:
    """While a transaction that has read the calls stays open, what is due is shown to nobody else, calls are stored,
    and the purge goes on where it was once the reader has ended: as without Citus.
    """
    await retained.report(failed("old"))
    partitions = retained.retention.partitions
    retained.retention.partitions = Partitions(retained.retention.owner, attempts=1)
    async with retained.ingest.database.owner.acquire() as reader, reader.transaction():
        assert await reader.fetchval("SELECT count(*) FROM call") == 1
        with pytest.raises(PartitionsBusyError):
            await retained.purge()
        async with asyncio.timeout(10):
            assert await retained.value("SELECT count(*) FROM call") == 0
            await retained.ingest.report(call("young"))
    retained.retention.partitions = partitions
    (run,) = await retained.purge()
    assert (run.failure, run.rows_dropped) == (None, 2)
    assert await retained.column("SELECT source_id FROM call") == ["young"]
    assert await retained.findings() == {}


def compaction_of(ingest: Ingest, **options: int) -> Compaction:
    """Compacts usage, and makes the partitions that it wants."""
    return Compaction(
        ingest.database.owner, ensure=lambda needs: ingest.partitions.ensure(ingest.applied.policy, needs), **options
    )


async def report_until_stored(ingest: Ingest, rows: list[dict[str, Any]]) -> int:
    """Report as a gateway does, again until it is answered; how many times it was refused."""
    refused = 0
    while True:
        try:
            verdicts = await ingest.report(*rows)
        except DatabaseUnavailableError:
            refused += 1
            continue
        assert {verdict.status for verdict in verdicts} <= {Status.ACCEPTED, Status.DUPLICATE}
        return refused


async def is_whole(ingest: Ingest, count: int) -> bool:
    """Whether each call is there once, and once in the sums."""
    await compaction_of(ingest).compact_all()
    stored = await ingest.value("SELECT count(*) FROM call")
    return (stored, await ingest.value("SELECT sum(calls) FROM usage_day")) == (count, count)


async def restart(embedded_18: CitusServer, node: int) -> None:
    """End a node as a power cut would, and start it again."""
    server = embedded_18.nodes[node]
    await asyncio.to_thread(server.crash)
    server.start()
    await asyncio.to_thread(server.await_ready)


@pytest.mark.citus(own_nodes=True)
@pytest.mark.parametrize("node", [0, 1], ids=["coordinator", "worker"])
async def test_nothing_is_lost_when_a_node_ends(ingest: Ingest, embedded_18: CitusServer, node: int) -> None:
    """A node that dies and comes back while calls are reported costs tries, and no call: none is lost or doubled."""

    async def report(size: int) -> None:
        """Report all the time: small batches, which the coordinator takes, or large ones, which go to the workers."""
        for batch in range(6):
            await report_until_stored(ingest, calls(size, f"{size}-{batch}-"))

    await ingest.report(*calls(60, "before-"))
    async with asyncio.TaskGroup() as group:
        for work in (report(10), report(60), restart(embedded_18, node)):
            group.create_task(work)
    assert await is_whole(ingest, 60 + 6 * 10 + 6 * 60)


@pytest.mark.citus(own_nodes=True)
def test_a_service_starts_while_a_worker_is_away(embedded_18: CitusServer, database_url: str, tmp_path: Path) -> None:
    """It answers for accounts on other workers, keeps keys to them, and says where that is not proved; once the worker
    is back, all is proved.
    """
    environment = {"CALLEDGER_DATABASE_URL": database_url}
    service = RunningService(tmp_path / "data", environment=environment)
    service.report(service.admin_key, *calls(16))
    places = dict(line.split(" ", 1) for line in psql(database_url, WORKERS_OF_ACCOUNTS).splitlines())
    host, port = embedded_18.hosts[1]
    away = next(account for account, place in places.items() if place == f"{port} {host}")
    here = next(account for account, place in places.items() if place != f"{port} {host}")
    keys = {account: service.new_key("viewer", account) for account in (away, here)}
    service.stop()
    embedded_18.nodes[1].crash()
    try:
        service.start()
        shown = service.ask(keys[here], "{ calls { nodes { account } } }")
        assert [node["account"] for node in shown["data"]["calls"]["nodes"]] == [here] * 2
        refused = service.ask(keys[away], "{ calls { nodes { account } } }")
        assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        status = bare_command("status", "--data", str(service.data), environment=environment)
        assert status.returncode == 0, status.stderr
        assert f"row-level security is not proved on `{host}:{port}`, which does not answer" in status.stdout
    finally:
        embedded_18.nodes[1].start()
        embedded_18.nodes[1].await_ready()
    status = bare_command("status", "--data", str(service.data), environment=environment)
    assert "protection missing" not in status.stdout, status.stdout
    service.stop()


async def test_nothing_is_lost_while_shards_move(ingest: Ingest, embedded_18: CitusServer, database_url: str) -> None:
    """A shard that moves to the other worker while calls are reported takes all of them along."""
    superuser = await asyncpg.connect(embedded_18.url(database_url.rpartition("/")[2], user=SUPERUSER))
    await ingest.report(*calls(8, "before-"))
    shard, name, port = await superuser.fetchrow("""
        SELECT shardid, nodename, nodeport FROM citus_shards WHERE table_name = 'call'::regclass LIMIT 1
    """)
    other = await superuser.fetchrow(
        "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND nodename <> $1", name
    )
    moved = superuser.execute(
        "SELECT citus_move_shard_placement($1, $2, $3, $4, $5, 'block_writes')", shard, name, port, *other
    )

    async def report() -> None:
        """Report all the time, in batches that go to the workers, and small ones."""
        for batch in range(10):
            await report_until_stored(ingest, calls(64 if batch % 2 else 8, f"{batch}-"))

    async with asyncio.TaskGroup() as group:
        for work in (report(), moved):
            group.create_task(work)
    await superuser.close()
    assert await is_whole(ingest, 8 + 5 * 64 + 5 * 8)
