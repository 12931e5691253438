"""A streaming replica answers queries, and never shows what the primary would not."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest
from conftest import OWNER, START_TIMEOUT_S, Server, running_server
from pairing import settled
from replicating import Replica, running_replica
from running import RunningService, command
from webhook_service import call

from service.keyring import create_kek_file
from service.storage.control.attestations import LOCK, begin_attestation
from service.storage.database import Database
from service.storage.embedded import processes

pytestmark = pytest.mark.plain("a replica of one PostgreSQL")

COUNT = "query($f: CallFilter) { calls(filter: $f, first: 5) { totalCount nodes { sourceId } } }"
REVEALING = "{ costs { rows { calls } } }"


class Replicated(NamedTuple):
    """A service whose queries a replica answers. `database`: the name of its database on both servers."""

    service: RunningService
    primary: Server
    replica: Replica
    database: str
    environment: dict[str, str]

    def command(self, *arguments: str) -> str:
        done = command(self.service.data, *arguments, environment=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def on_replica(self, statement: str) -> None:
        """Run a statement as the replica's superuser."""
        self.replica.server.execute(statement)

    def reads(self, by: str) -> float:
        """How many reads were answered by `replica` or `primary`."""
        found = re.search(rf'^calledger_replica_reads_total{{by="{by}"}} (\S+)$', self.service.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def count(self, key: str, account: str) -> int:
        answer = self.service.ask(key, COUNT, f={"account": {"eq": account}})
        assert "errors" not in answer, answer
        return answer["data"]["calls"]["totalCount"]


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    folder = tmp_path_factory.mktemp("replica")
    create_kek_file(folder / "kek")
    with (
        running_server(processes.bundled_programs(), {"synchronous_commit": "on", "wal_level": "replica"}) as primary,
        primary.database(template=primary.template()) as url,
        running_replica(primary) as replica,
    ):
        name = urlsplit(url).path.strip("/")
        environment = {
            "CALLEDGER_DATABASE_URL": url,
            "CALLEDGER_REPLICA_URL": replica.server.url(name),
            "CALLEDGER_KEYRING": f"file:{folder / 'keyring'}",
            "CALLEDGER_KEK": f"file:{folder / 'kek'}",
        }
        service = RunningService(folder / "data", environment=environment)
        try:
            yield Replicated(service, primary, replica, name, environment)
        finally:
            service.stop()


def test_a_replica_answers_what_was_just_recorded(replicated: Replicated) -> None:
    """Each query is answered with what was acknowledged before it, by the replica once it has that, in scope."""
    service, admin = replicated.service, replicated.service.admin_key
    for number in range(20):
        service.report(admin, call(f"own-{number}", account="own"), call(f"foreign-{number}", account="foreign"))
        assert replicated.count(admin, "own") == number + 1
    scoped = replicated.command("keys", "create", "--role", "viewer", "--account", "own")
    settled(lambda: replicated.count(scoped, "own"), 20, times=3)
    before = replicated.reads("replica")

    def answered() -> bool:
        """Whether the replica has answered since, and no answer was wrong."""
        assert replicated.count(scoped, "foreign") == 0
        assert service.ask(scoped, "{ costs { rows { calls } } }")["data"]["costs"]["rows"][0]["calls"] == "20"
        return replicated.reads("replica") > before

    settled(answered, True, times=1)


def test_whether_a_statement_is_being_made_is_asked_of_the_primary(replicated: Replicated) -> None:
    """Who makes it has a lock there, which no replica shows: it would be said to have failed."""
    service, admin = replicated.service, replicated.service.admin_key
    asked = "{ attestations(first: 1) { nodes { id state } } }"

    async def states() -> set[str]:
        """What is said of a statement that is being made, alone and in the list, until the replica has answered."""
        connection, said = await asyncpg.connect(replicated.environment["CALLEDGER_DATABASE_URL"]), set[str]()
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            await begin_attestation(connection, days=1, is_full=False)
            before = replicated.reads("replica")
            while replicated.reads("replica") < before + 10:
                [node] = service.ask(admin, asked)["data"]["attestations"]["nodes"]
                one = f'{{ attestation(id: "{node["id"]}") {{ state }} }}'
                said |= {node["state"], service.ask(admin, one)["data"]["attestation"]["state"]}
                replicated.count(admin, "own")
            await connection.execute("DELETE FROM attestation")
            return said
        finally:
            await connection.close()

    assert asyncio.run(states()) == {"RUNNING"}


def test_what_is_erased_is_gone_although_the_replica_has_it(replicated: Replicated) -> None:
    """A replica that stands still is not asked: neither what is new is missing, nor what was erased there."""
    service, admin = replicated.service, replicated.service.admin_key
    service.report(admin, call("leaving", account="leaving"))
    settled(lambda: replicated.count(admin, "leaving"), 1, times=3)
    replicated.on_replica("SELECT pg_wal_replay_pause()")
    try:
        replicated.command("erase", "--account", "leaving", "--all", "--reason", "ended")
        before = replicated.reads("primary")
        settled(lambda: replicated.count(admin, "leaving"), 0, times=3)
        service.report(admin, call("new", account="new"))
        assert replicated.count(admin, "new") == 1
        assert replicated.reads("primary") > before
    finally:
        replicated.on_replica("SELECT pg_wal_replay_resume()")
    before, until = replicated.reads("replica"), time.monotonic() + 60
    while replicated.reads("replica") == before:
        assert replicated.count(admin, "leaving") == 0
        assert time.monotonic() < until


def test_a_replica_that_is_gone_is_not_missed(replicated: Replicated) -> None:
    """When the replica ends, queries go on, and the log says so once; when it is back, it answers again."""
    service, admin = replicated.service, replicated.service.admin_key
    service.report(admin, call("kept", account="kept"))
    settled(lambda: replicated.count(admin, "kept"), 1, times=3)
    replicated.replica.kill()
    try:
        for _ in range(10):
            assert replicated.count(admin, "kept") == 1
        settled(lambda: service.log.read_text().count("the replica does not answer"), 1, times=3)
    finally:
        replicated.replica.start()
    until = time.monotonic() + 60
    while "the replica answers again" not in service.log.read_text():
        assert replicated.count(admin, "kept") == 1
        assert time.monotonic() < until


def answers(url: str, replica_url: str) -> tuple[bool, str]:
    """Whether a replica answers any of some reads, and what is said of it."""

    async def read() -> tuple[bool, str]:
        database = await Database.open(url, replica_url=replica_url)
        try:
            assert database.replica is not None
            by_replica = False
            for _ in range(20):
                async with database.reading(None, key_id="key") as connection:
                    by_replica = by_replica or await connection.fetchval("SELECT pg_is_in_recovery()")
            return by_replica, await database.replica.describe()
        finally:
            await database.close()

    return asyncio.run(read())


def end(server: Server) -> None:
    """Shut it down."""
    server.close()
    server.process.send_signal(signal.SIGINT)
    server.process.wait(START_TIMEOUT_S)


def begin_as(server: Server, *, standby: bool) -> None:
    """Have the server begin as a standby of none, or as none, when it starts next."""
    name = server.folder / "cluster" / "standby.signal"
    if standby:
        name.touch()
        os.chown(name, *server.identity.owner)
    else:
        name.unlink(missing_ok=True)
    server.options = {**server.options, "primary_conninfo": ""}


def test_another_database_is_not_asked(replicated: Replicated, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name in the address leads to other rows, in a log that is the right one: the log and `status` say so."""
    url, wrong = replicated.environment["CALLEDGER_DATABASE_URL"], replicated.replica.url("postgres")
    assert answers(url, wrong) == (False, "NOT ASKED: it is another database")
    assert "".join(capsys.readouterr()).count("the replica is not asked: it is another database") == 1
    settled(lambda: answers(url, replicated.replica.url(replicated.database)), (True, "answers queries"), times=1)
    assert re.search("^replica +answers queries$", replicated.command("status"), re.MULTILINE)
    environment = {**replicated.environment, "CALLEDGER_REPLICA_URL": wrong}
    done = command(replicated.service.data, "status", environment=environment)
    assert re.search("^replica +NOT ASKED: it is another database$", done.stdout, re.MULTILINE), (
        done.stdout + done.stderr
    )


def test_a_standby_of_another_cluster_is_not_asked(replicated: Replicated) -> None:
    """However far it has replayed what it replays."""
    with running_server(processes.bundled_programs()) as other:
        other.execute(
            "CREATE ROLE calledger_app NOLOGIN", "CREATE ROLE calledger_app_all NOLOGIN",
            f"GRANT calledger_app, calledger_app_all TO {OWNER}",
        )  # fmt: skip
        end(other)
        ahead = [other.programs / "pg_resetwal", "-l", "0000000100000001000000FF", "-D", other.folder / "cluster"]
        assert processes.run(other.identity, ahead, folder=other.folder).returncode == 0
        for standby in (False, True):  # its log has to say first that it is one for standbys
            begin_as(other, standby=standby)
            other.start()
            other.await_ready()
            if not standby:
                end(other)
        found = answers(replicated.environment["CALLEDGER_DATABASE_URL"], other.url("postgres"))
        assert found == (False, "NOT ASKED: it is of another cluster")


def test_a_standby_is_not_asked_for_a_primary_that_was_restored(replicated: Replicated) -> None:
    """Restored from a copy of its disk, and to a point in time: its standby has replayed what the primary never wrote,
    which nobody is shown.
    """
    right = replicated.replica.url(replicated.database)
    with running_replica(replicated.primary) as restored:
        restored.kill()
        begin_as(restored.server, standby=False)
        restored.start()
        replicated.primary.execute("SELECT pg_logical_emit_message(true, 'lost', repeat('x', 5000000))")
        url, lost = restored.url(replicated.database), "it has replayed more than the primary has written"
        settled(lambda: answers(url, right), (False, f"NOT ASKED: {lost}"), times=1)

        restored.kill()
        begin_as(restored.server, standby=True)
        restored.start()
        restored.server.execute("SELECT pg_promote()")
        assert answers(url, right) == (False, "NOT ASKED: it is on timeline 1, and the primary on 2")
