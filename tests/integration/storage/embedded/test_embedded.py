"""The embedded PostgreSQL, on real processes: starts, deaths, and what it leaves alone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from embedding import ask, copy, mode, running, server_pid, short_folder, start_and_stop

from service.storage.embedded import processes
from service.storage.embedded.data_directory import buffers_mb
from service.storage.embedded.supervisor import EmbeddedPostgres
from service.storage.errors import EmbeddedDatabaseBusyError, EmbeddedDatabaseError

pytestmark = pytest.mark.embedded("how it is run")


@contextmanager
def stranger(uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no PostgreSQL."""
    process = subprocess.Popen(["sleep", "600"], user=uid if os.geteuid() == 0 else None)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def permissions(*paths: Path) -> list[tuple[int, int, int]]:
    return [(found.st_mode, found.st_uid, found.st_gid) for path in paths for found in [path.stat()]]


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.mark.parametrize(("gigabytes", "megabytes"), [(0, 128), (1, 128), (8, 256), (25, 800), (512, 1024)])
def test_the_server_keeps_rows_by_the_memory_that_there_is(gigabytes: int, megabytes: int) -> None:
    """A small machine gives up no more than it did, a large one a gigabyte at most."""
    assert buffers_mb(gigabytes << 30) == megabytes


async def test_first_start_makes_a_database_that_its_owner_can_use() -> None:
    """An empty folder becomes a PostgreSQL 18 with checksums, fsync and UTF-8, owned by a role that is no superuser."""
    with short_folder() as folder:
        async with running(folder / "data") as (_, url):
            connection = await asyncpg.connect(url)
            found = await connection.fetchrow(
                "SELECT current_database(), rolsuper, rolcreaterole,"
                " current_setting('server_version_num')::int / 10000,"
                " current_setting('data_checksums'), current_setting('fsync'), current_setting('server_encoding'),"
                " current_setting('listen_addresses'), has_database_privilege(current_database(), 'CREATE')"
                " FROM pg_roles WHERE rolname = current_user"
            )
            await connection.close()

    assert tuple(found) == ("calledger", False, True, 18, "on", "on", "UTF8", "", True)


async def test_next_start_finds_the_rows_of_the_last(data: Path) -> None:
    """What was committed before a stop is there after the next start."""
    async with running(data) as (_, url):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS seven", "SELECT 1")

    async with running(data) as (_, url):
        assert await ask(url, "SELECT seven FROM kept") == 7


async def test_address_is_written_private_and_removed(data: Path) -> None:
    """`DATA/database.url` holds the address while the database runs, for its owner's eyes only, and no longer."""
    file = data / "database.url"

    async with running(data) as (_, url):
        written, permission = file.read_text(), mode(file)

    assert (written, permission, file.exists()) == (url, 0o600, False)


async def test_secrets_are_private_and_in_no_command_line(data: Path) -> None:
    """The passwords lie in files of mode 0600, and neither the processes nor the log show them."""
    async with running(data) as (postgres, _):
        files = [postgres.cluster.owner_password, postgres.cluster.superuser_password]
        passwords = [file.read_text() for file in files]
        shown = (processes.command_line(server_pid(postgres)) or "") + postgres.cluster.log.read_text()

    assert [mode(file) for file in files] == [0o600, 0o600]
    assert not [password for password in passwords if password in shown]


async def test_wrong_password_is_refused(data: Path) -> None:
    """Whoever reaches the socket still needs the password."""
    async with running(data) as (_, url):
        password = (data / "postgres" / "owner.password").read_text()

        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace(password, "x" * 32))


async def test_statements_and_their_values_stay_out_of_the_log(data: Path) -> None:
    """An error that quotes a value in its message or detail leaves no trace of the value in the server's log."""
    async with running(data) as (postgres, url):
        with pytest.raises(asyncpg.DataError):
            await ask(url, "SELECT 'canary-in-message'::text::integer")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(
                url,
                "CREATE TABLE once (name text PRIMARY KEY)",
                "INSERT INTO once VALUES ('canary-in-detail'), ('canary-in-detail')",
            )
        logged = postgres.cluster.log.read_text()

    assert "canary" not in logged
    assert "ready to accept connections" in logged


async def test_stop_ends_a_server_that_has_clients(data: Path) -> None:
    """A connection that somebody forgot doesn't hold the stop up."""
    async with running(data) as (postgres, url):
        pid = server_pid(postgres)
        connection = await asyncpg.connect(url)

    assert processes.command_line(pid) is None
    connection.terminate()


async def test_other_major_version_is_refused(data: Path) -> None:
    """Files of another PostgreSQL are left alone, with an error that names both versions."""
    file = data / "postgres" / "cluster" / "PG_VERSION"
    file.write_text("16\n")

    with pytest.raises(EmbeddedDatabaseError, match="PostgreSQL 16, and this calledger brings PostgreSQL 18"):
        await EmbeddedPostgres(data).start()

    assert file.read_text() == "16\n"


async def test_pid_file_of_another_program_is_no_obstacle(data: Path) -> None:
    """A pid file left by a crash does not keep the database down when its number belongs to another program."""
    pid_file = data / "postgres" / "cluster" / "postmaster.pid"
    owner = pid_file.parent.stat()
    # Of the same user: a process that it may signal is what PostgreSQL takes for a living predecessor.
    with stranger(owner.st_uid) as process:
        pid_file.write_text(f"{process.pid}\n{pid_file.parent}\n1700000000\n5432\n/tmp\n\n  0 0\nready\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        async with running(data) as (postgres, url):
            assert await ask(url, "SELECT 1") == 1
            assert "already exists" in postgres.cluster.log.read_text()
        assert process.poll() is None


async def test_second_supervisor_is_refused_and_named(data: Path) -> None:
    """Two supervisors never run one folder: the second is told which process has it, and disturbs nothing."""
    async with running(data) as (_, url):
        with pytest.raises(EmbeddedDatabaseBusyError, match=str(os.getpid())):
            await EmbeddedPostgres(data).start(timeout_s=0)

        assert (data / "database.url").read_text() == url
        assert await ask(url, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["with a space", "plus+percent%40", "quote'\"", "comma,comma", "ünï", "ä" * 60])
async def test_any_folder_name_will_do(made: Path, name: str) -> None:
    """The path to the data may hold spaces and signs of every kind, and be longer than a socket's path may be."""
    with short_folder() as folder:
        data = folder / name / "data"
        data.parent.mkdir()
        copy(made, data)
        async with running(data) as (postgres, url):
            assert await ask(url, "SELECT 1") == 1
            socket_folder = postgres.socket_folder
            assert socket_folder is not None
            assert mode(socket_folder) == 0o700

        assert not socket_folder.exists() or socket_folder.is_relative_to(data)


async def test_relative_folder_holds_after_a_change_of_directory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder given relative to where the service stands is found again from elsewhere."""
    monkeypatch.chdir(data.parent)
    async with running(Path("data")) as (_, url):
        monkeypatch.chdir("/")

        assert await ask(url, "SELECT 1") == 1


async def test_permissions_outside_stay_as_they_are(made: Path) -> None:
    """Starting and stopping changes no permission and no owner, outside its own folder or of the programs."""
    with short_folder() as folder:
        data = folder / "data"
        data.mkdir(mode=0o751)
        (data / "admin.key").write_text("secret")
        outside = [
            *(step for path in (data, processes.bundled_programs()) for step in [path, *path.parents]),
            data / "admin.key",
        ]
        before = permissions(*outside)

        await start_and_stop(data)

        assert permissions(*outside) == before


async def test_environment_does_not_reach_the_server(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PG* variables don't bend the server, and it inherits no secret of the service."""
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("CALLEDGER_KEK", "canary")

    async with running(data) as (postgres, url):
        assert await ask(url, "SELECT current_setting('port')") == "5432"
        assert "canary" not in environment(server_pid(postgres))


async def test_damaged_settings_are_told_with_the_reason(data: Path) -> None:
    """When PostgreSQL cannot start, the error says what it said, at once."""
    (data / "postgres" / "cluster" / "pg_hba.conf").unlink()

    with pytest.raises(EmbeddedDatabaseError, match="could not load"):
        await EmbeddedPostgres(data).start()


async def test_unwritable_place_is_told() -> None:
    """A data folder that cannot be made is the operator's to change, and the error says how."""
    with pytest.raises(EmbeddedDatabaseError, match="set CALLEDGER_DATA"):
        await EmbeddedPostgres(Path("/proc/calledger")).start()
