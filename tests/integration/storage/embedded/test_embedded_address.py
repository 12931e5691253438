"""How a command finds its database, with real processes on both sides."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from folders import SHORT_FOLDER

from service.storage.embedded import processes
from service.storage.embedded.connection import database
from service.storage.embedded.data_directory import Cluster
from service.storage.embedded.supervisor import EmbeddedPostgres
from service.storage.errors import DatabaseError, EmbeddedDatabaseBusyError, EmbeddedDatabaseError

pytestmark = pytest.mark.embedded("how it is run")

# A command: uses the database until its standard input ends, and says what it used.
COMMAND = """
import asyncio, sys
from pathlib import Path
import asyncpg
from service.storage.embedded.connection import database

async def main():
    async with database(data=Path(sys.argv[1]), database_url=None) as url:
        connection = await asyncpg.connect(url)
        print(await connection.fetchval("SELECT pg_postmaster_start_time()::text"), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(await connection.fetchval("SELECT 'still here'"), flush=True)
        await connection.close()

asyncio.run(main())
"""


@pytest.fixture
def empty() -> Iterator[Path]:
    """A data folder in which nothing has been started yet."""
    with TemporaryDirectory(prefix="calledger-test-", dir=SHORT_FOLDER) as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder whose database has been made, so that not every test makes one."""
    with TemporaryDirectory(prefix="calledger-test-", dir=SHORT_FOLDER) as folder:
        asyncio.run(start_and_stop(Path(folder) / "data"))
        yield Path(folder) / "data"


async def start_and_stop(data: Path) -> None:
    async with database(data=data, database_url=None):
        pass


@pytest.fixture
def data(made: Path, empty: Path) -> Path:
    subprocess.run(["cp", "-a", made, empty], check=True)
    return empty


@contextmanager
def command(data: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def close_input(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None


def finish(process: "subprocess.Popen[str]") -> tuple[str, int]:
    """The next line that the command says, and its exit code."""
    output, _ = process.communicate(timeout=60)
    return output.splitlines()[0], process.returncode


async def value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_operators_database_wins(empty_database_url: str, empty: Path) -> None:
    """CALLEDGER_DATABASE_URL is used as it is, and no embedded database comes about beside it."""
    async with database(data=empty, database_url=empty_database_url) as url:
        assert url == empty_database_url

    assert Cluster(empty).files_owner_uid() is None


async def test_each_host_that_does_not_answer_is_named(empty: Path) -> None:
    """Where none of several hosts answers, the message has all of them, and no password."""
    with pytest.raises(DatabaseError) as refused:
        async with database(data=empty, database_url="postgresql://u:secret@127.0.0.1:1,127.0.0.1:2/d"):
            pass
    assert re.findall(r"`([^`]*)` does not answer", str(refused.value)) == ["127.0.0.1:1/d", "127.0.0.1:2/d"]
    assert "secret" not in str(refused.value)


async def test_embedded_database_is_started_and_ended(data: Path) -> None:
    """Without any database a command starts its own, and leaves none running."""
    async with database(data=data, database_url=None) as url:
        assert await value(url, "SELECT current_user::text") == "calledger_owner"
        pid = Cluster(data).server_pid()

    assert pid is not None
    assert processes.command_line(pid) is None
    assert not (data / "database.url").exists()


async def test_running_database_is_shared_and_left_running(data: Path) -> None:
    """A command beside a running service uses the service's database and does not end it."""
    postgres = EmbeddedPostgres(data)
    url = await postgres.start()
    try:
        async with database(data=data, database_url=None) as found:
            assert found == url

        assert await value(url, "SELECT 1") == 1
    finally:
        await postgres.stop()


async def test_address_of_a_dead_database_is_not_believed(data: Path) -> None:
    """A `database.url` that a crash left behind does not keep a command from starting the database."""
    async with database(data=data, database_url=None) as url:
        pass
    (data / "database.url").write_text(url)

    async with database(data=data, database_url=None) as again:
        assert await value(again, "SELECT 1") == 1


def test_two_starters_at_once_share_one_database(empty: Path) -> None:
    """Commands that start at the same moment on an empty folder end up in the same server, and all succeed."""
    with ExitStack() as stack:
        commands = [stack.enter_context(command(empty)) for _ in range(3)]
        started_at = {next_line(process) for process in commands}
        for process in commands:
            close_input(process)
        ends = [finish(process) for process in commands]

    assert len(started_at) == 1
    assert ends == [("still here", 0)] * 3


def test_starter_waits_for_the_commands_that_share_its_database(data: Path) -> None:
    """The command that started the database does not take it from another that still uses it."""
    with command(data) as starter:
        started_at = next_line(starter)
        with command(data) as sharer:
            assert next_line(sharer) == started_at
            close_input(starter)
            assert next_line(starter) == "still here"
            with pytest.raises(subprocess.TimeoutExpired):
                starter.wait(0.5)

            assert finish(sharer) == ("still here", 0)
            assert starter.wait(60) == 0

    assert not (data / "database.url").exists()


def test_killed_sharer_does_not_hold_the_database(data: Path) -> None:
    """A command that is killed while it shares the database keeps nobody waiting."""
    with command(data) as starter:
        next_line(starter)
        with command(data) as sharer:
            next_line(sharer)
            sharer.kill()
            sharer.wait()

        assert finish(starter) == ("still here", 0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://owner:canary@127.0.0.1:1/calls", "`127.0.0.1:1/calls` does not answer"),
        ("postgresql://owner:canary@/calls?host=/nowhere", "does not answer"),
        ("postgresql://owner:canary@127.0.0.1:port/calls", "CALLEDGER_DATABASE_URL"),
        ("mysql://owner:canary@127.0.0.1/calls", "CALLEDGER_DATABASE_URL"),
        ("canary", "CALLEDGER_DATABASE_URL"),
        ("", "CALLEDGER_DATABASE_URL"),
        ("postgresql://owner:canary@127.0.0.1:1/calls?sslmode=canary", "CALLEDGER_DATABASE_URL"),
    ],
)
async def test_unusable_address_is_told_without_its_secrets(empty: Path, url: str, said: str) -> None:
    """An operator's address that leads nowhere is an error that names the place, and neither user nor password."""
    with pytest.raises(DatabaseError) as caught:
        async with database(data=empty, database_url=url):
            pass

    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_wrong_password_of_the_operators_database(empty_database_url: str, empty: Path) -> None:
    """A server that refuses the password is told apart from one that is away."""
    url = empty_database_url.replace("only-for-tests", "canary")

    with pytest.raises(DatabaseError, match="refuses this user and password") as caught:
        async with database(data=empty, database_url=url):
            pass
    assert "canary" not in str(caught.value)


async def test_error_inside_a_command_still_ends_its_database(data: Path) -> None:
    """A command that fails leaves no server behind."""
    with pytest.raises(asyncio.CancelledError):
        async with database(data=data, database_url=None):
            raise asyncio.CancelledError

    assert Cluster(data).server_pid() is None


async def test_service_does_not_depend_on_a_command(data: Path) -> None:
    """A service beside a command that runs the database doesn't share it: it waits, and then runs its own."""
    async with database(data=data, database_url=None) as url:
        service = asyncio.create_task(serve_for_a_moment(data))
        assert await value(url, "SELECT 1") == 1
        assert not service.done()

    assert await service == os.getpid()


async def serve_for_a_moment(data: Path) -> int:
    """The process that runs the database while a service has it."""
    async with database(data=data, database_url=None, serving=True) as url:
        assert await value(url, "SELECT 1") == 1
        return int((data / "postgres" / "lock").read_text())


async def test_second_service_on_a_folder_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two services never share a folder; the second is told who has it."""
    monkeypatch.setattr("service.storage.embedded.supervisor.LOCK_TIMEOUT_S", 0)
    async with database(data=data, database_url=None, serving=True):
        with pytest.raises(EmbeddedDatabaseBusyError, match=str(os.getpid())):
            await serve_for_a_moment(data)


async def test_server_is_watched_while_it_is_used(data: Path) -> None:
    """A server that is killed in the middle of a command answers again at the same address."""
    async with database(data=data, database_url=None, serving=True) as url:
        killed = Cluster(data).server_pid()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(60):
            while await value_or_none(url, "SELECT 1") is None:  # noqa: ASYNC110 - nothing tells of it but an answer
                await asyncio.sleep(0.05)

        assert Cluster(data).server_pid() != killed


async def value_or_none(url: str, statement: str) -> object | None:
    try:
        return await value(url, statement)
    except (OSError, asyncpg.PostgresError):
        return None


async def test_service_ends_when_its_database_cannot_be_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When restarting the server is no use any more, whatever waits inside is ended with the reason."""
    monkeypatch.setattr("service.storage.embedded.supervisor.RESTARTS_MAX", 0)

    with pytest.raises(EmbeddedDatabaseError, match="killed by signal 9"):
        async with database(data=data, database_url=None, serving=True):
            killed = Cluster(data).server_pid()
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
