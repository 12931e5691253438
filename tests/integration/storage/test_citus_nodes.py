"""On a Citus cluster any node is an address of the ledger, and calls go straight to the workers that keep them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from citus_cluster import CitusServer, psql
from ingesting import (
    ACCEPTED,
    CONFLICT,
    DUPLICATE,
    REJECTED,
    Ingest,
    call,
    eventually,
    failed,
    ingesting,
    statuses,
    sums_agree,
)
from running import RunningService, bare_command

from service.retention.rollups.tag_keys import _add
from service.storage.embedded import connection as address
from service.storage.errors import DatabaseError
from service.storage.numbering import number_changes

pytestmark = pytest.mark.citus
SUPERUSER = "postgres"
DIRECT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'calledger' AND datname = current_database()"
"""Connections of the service's own to a node; those of other nodes have names of Citus'."""
CHANGES = "SELECT coalesce(sum(octet_length(ids) / 16), 0)::integer FROM call_change"
MANY = 64
"""More calls than come with their statement."""


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


def calls(prefix: str, **facts: object) -> list[dict[str, object]]:
    """Calls of accounts on both workers, one in eight of them failed."""
    return [
        (failed if number % 8 == 0 else call)(
            f"{prefix}{number}", account=f"account-{number % 11}", amount="0.25", currency="USD", **facts
        )
        for number in range(MANY)
    ]


def direct_connections(server: CitusServer, url: str) -> list[int]:
    """How many connections of the service each worker has."""
    name = url.rpartition("/")[2]
    return [int(psql(server.url(name, user=SUPERUSER, node=node), DIRECT)) for node in range(1, len(server.nodes))]


async def test_calls_go_to_the_workers_that_keep_them(embedded_18: CitusServer, ingest: Ingest) -> None:
    """Each worker is sent its accounts' calls; sums, errors and feed have each of them once, however often it comes."""
    assert statuses(await ingest.report(*calls("c"))) == [ACCEPTED] * MANY
    assert direct_connections(embedded_18, ingest.url) == [1, 1]
    assert statuses(await ingest.report(*calls("c"))) == [DUPLICATE] * MANY
    changed = await ingest.report(*calls("c"), *calls("d"), call("c1", account="account-1", amount="3"))
    assert statuses(changed) == [*[DUPLICATE] * MANY, *[ACCEPTED] * MANY, CONFLICT]

    assert (await sums_agree(ingest))[0] == 2 * MANY
    assert await ingest.value("SELECT count(*) FROM call_error") == 2 * MANY / 8
    async with ingest.database.owner.acquire() as connection:
        while await number_changes(connection):
            pass
    assert await ingest.value(CHANGES) == 2 * MANY
    assert await ingest.value("SELECT count(*) FROM stored_on_worker") == 0


async def test_sums_are_the_same_by_either_way(ingest: Ingest, embedded_18: CitusServer, tmp_path: Path) -> None:
    """Deltas and tags that workers send are, column by column, those that the coordinator makes of the same calls."""
    await ingest.database.owner.execute("INSERT INTO usage_tag_key (tag_key) VALUES ('team')")
    rows = calls("c", tags={"team": 'søk "1"', "x": "y"}, latency_ms=120, input_tokens=7, api_key="k'1")
    deltas = (
        "SELECT * FROM usage_delta ORDER BY account_id, failed",
        "SELECT * FROM usage_tag_delta ORDER BY account_id",
    )
    await ingest.report(*rows)
    sent = [[dict(row) for row in await ingest.fetch(statement)] for statement in deltas]
    assert direct_connections(embedded_18, ingest.url) == [1, 1]
    psql(
        ingest.url,
        "DELETE FROM call_error",
        "DELETE FROM call",
        "DELETE FROM usage_delta",
        "DELETE FROM usage_tag_delta",
    )
    psql(ingest.url, "SELECT undistribute_table('stored_on_worker')")
    folder = tmp_path / "other"
    folder.mkdir()
    async with ingesting(ingest.url, folder) as other:
        await other.report(*rows)
        made = [[dict(row) for row in await other.fetch(statement)] for statement in deltas]
    assert made == sent
    assert all(sent)


async def test_a_worker_that_cannot_be_reached_is_written_to_through_the_coordinator(
    ingest: Ingest, embedded_18: CitusServer
) -> None:
    """Where the service, or the coordinator for a worker, is locked out, calls are stored all the same."""
    name = ingest.url.rpartition("/")[2]
    worker = embedded_18.url(name, user=SUPERUSER, node=1)
    psql(worker, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    psql(
        embedded_18.url(name, user=SUPERUSER, node=2),
        "UPDATE pg_dist_authinfo SET authinfo = 'password=wrong' WHERE rolename = 'calledger_app_all'",
    )
    psql(worker, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    assert statuses(await ingest.report(*calls("c"))) == [ACCEPTED] * MANY
    assert (await sums_agree(ingest))[0] == MANY


async def test_what_one_worker_refuses_is_stored_nowhere_and_all_else_is(ingest: Ingest) -> None:
    """A row that the database refuses is cut out of its worker's part; those of the other worker are stored once."""
    await ingest.report(*calls("first"))
    await ingest.database.owner.execute("ALTER TABLE call ADD CHECK (model <> 'cursed')")
    verdicts = await ingest.report(*calls("c"), call("worse", account="account-3", model="cursed"))
    assert statuses(verdicts)[:-1] == [ACCEPTED] * MANY
    assert verdicts[-1].status is REJECTED
    assert (await sums_agree(ingest))[0] == 2 * MANY


async def test_a_tag_that_is_added_waits_for_calls_on_their_way_to_a_worker(
    ingest: Ingest, embedded_18: CitusServer
) -> None:
    """Who has read the tags that are summed stores its calls first: no call is missing in the sums of a new tag."""
    await ingest.report(*calls("first"))
    holder = await asyncpg.connect(ingest.url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE usage_delta IN SHARE MODE")
    report = asyncio.create_task(ingest.report(*calls("c", tags={"team": "a"})))
    waiting = "SELECT count(*) >= 1 FROM pg_locks WHERE NOT granted AND relation = 'usage_delta'::regclass"
    await eventually(lambda: holder.fetchval(waiting))
    adding = asyncio.create_task(_add(ingest.database.owner, ["team"]))
    await eventually(
        lambda: holder.fetchval("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")
    )
    await transaction.rollback()
    await asyncio.gather(report, adding)
    await holder.close()
    assert await ingest.value("SELECT count(*) FROM usage_tag_delta") == 0
    await ingest.report(*calls("d", tags={"team": "a"}))
    assert await ingest.value("SELECT sum(calls) FROM usage_tag_delta") == MANY


async def test_any_node_is_an_address(embedded_18: CitusServer, database_url: str, tmp_path: Path) -> None:
    """A worker's address, and one of several hosts of which the first does not answer, lead to the coordinator."""
    name = database_url.rpartition("/")[2]
    host, port = embedded_18.hosts[2]
    worker = embedded_18.url(name, node=2)
    several = worker.replace(f"{host}:{port}", f"{host}:1,{host}:{port},{embedded_18.hosts[0][0]}:{port}")
    for url in (worker, several, database_url):
        async with address.database(data=tmp_path, database_url=url) as found:
            assert found == database_url
    with pytest.raises(DatabaseError, match="does not answer") as refused:
        async with address.database(data=tmp_path, database_url=worker.replace(f":{port}/", f":1,{host}:2/")):
            pass
    assert "only-for-tests" not in str(refused.value)

    service = RunningService(tmp_path / "data", environment={"CALLEDGER_DATABASE_URL": several})
    service.report(service.admin_key, *(call(f"c{number}", account=f"account-{number}") for number in range(60)))
    assert service.ask(service.admin_key, "{ calls { totalCount } }")["data"]["calls"]["totalCount"] == 60
    checked = bare_command("fsck", "--data", str(service.data), environment={"CALLEDGER_DATABASE_URL": worker})
    assert checked.returncode == 0, checked.stdout + checked.stderr
    service.stop()
