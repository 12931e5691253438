"""The embedded PostgreSQL when it, its parent or its start ends early."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from embedding import ask, running, server_pid, start_and_stop

from service.storage.embedded import processes
from service.storage.embedded.supervisor import EmbeddedPostgres, reasons_of
from service.storage.errors import EmbeddedDatabaseError

pytestmark = pytest.mark.embedded("how it is run")

# What a parent does that a test kills: starts the database, says where it is, and waits to die.
PARENT = """
import asyncio, sys
from pathlib import Path
from service.storage.embedded.supervisor import EmbeddedPostgres

async def main():
    print(await EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
TIMEOUT_S = 60


@contextmanager
def running_elsewhere(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that runs the database, and the address that it told; killed, if it is not dead by then."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(data)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        try:
            yield parent, parent.stdout.readline().strip()
        finally:
            parent.kill()
            parent.wait()


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "did not come about"
        await asyncio.sleep(0.02)


def is_ready(postgres: EmbeddedPostgres, *, other_than: int) -> bool:
    pid, state = postgres.cluster.server_pid_and_state() or (other_than, "")
    return pid != other_than and state == "ready"


async def test_killed_parent_takes_the_database_with_it(data: Path) -> None:
    """After kill -9 of the process that runs it, PostgreSQL ends by itself, and the next start has every row."""
    with running_elsewhere(data) as (parent, url):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS seven", "SELECT 1")
        pid = server_pid(EmbeddedPostgres(data))
        parent.kill()
    await eventually(lambda: processes.command_line(pid) is None)

    async with running(data) as (_, url):
        assert await ask(url, "SELECT seven FROM kept") == 7


async def test_start_waits_for_a_server_whose_parent_was_killed(data: Path) -> None:
    """A service that is restarted the moment it was killed takes over, though the old server is still closing."""
    with running_elsewhere(data) as (parent, _):
        pid = server_pid(EmbeddedPostgres(data))
        parent.kill()
        parent.wait()
        async with running(data) as (postgres, url):
            assert await ask(url, "SELECT 1") == 1
            assert server_pid(postgres) != pid


async def test_killed_server_comes_back_with_its_rows(data: Path) -> None:
    """After kill -9 of PostgreSQL while the service runs, the same address answers again with every committed row."""
    async with running(data) as (postgres, url):
        watch = asyncio.create_task(postgres.watch())
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS seven", "SELECT 1")
        killed = server_pid(postgres)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: is_ready(postgres, other_than=killed))

        assert await ask(url, "SELECT seven FROM kept") == 7
        watch.cancel()


async def test_server_that_keeps_ending_is_given_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends again and again is not restarted for ever: the watch ends with the reason."""
    monkeypatch.setattr("service.storage.embedded.supervisor.RESTARTS_MAX", 1)
    async with running(data) as (postgres, _):
        watch = asyncio.create_task(postgres.watch())
        for _ in range(2):
            killed = server_pid(postgres)
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda killed=killed: watch.done() or is_ready(postgres, other_than=killed))

        with pytest.raises(EmbeddedDatabaseError, match="killed by signal 9"):
            await watch


async def test_killed_server_and_parent_recover_together(data: Path) -> None:
    """After kill -9 of both at once, the next start waits for what is left of them and recovers."""
    with running_elsewhere(data) as (parent, url):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS seven", "SELECT 1")
        os.kill(server_pid(EmbeddedPostgres(data)), signal.SIGKILL)
        parent.kill()

    async with running(data) as (_, url):
        assert await ask(url, "SELECT seven FROM kept") == 7


async def test_first_start_that_was_cut_off_begins_anew(data: Path) -> None:
    """A database that was half made when the machine died is thrown away, and never taken for a whole one."""
    cluster = data / "postgres" / "cluster"
    cluster.rename(cluster.with_name("cluster.new"))
    (cluster.with_name("cluster.new") / "global" / "pg_control").unlink()

    async with running(data) as (_, url):
        assert await ask(url, "SELECT 1") == 1


async def test_owner_is_made_again_when_the_first_start_stopped_short(data: Path) -> None:
    """Without the owner's password, the last thing that the first start writes, the owner is set up anew."""
    password = data / "postgres" / "owner.password"
    before = password.read_text()
    password.unlink()

    async with running(data) as (_, url):
        assert await ask(url, "SELECT current_user::text") == "calledger_owner"
    assert password.read_text() != before


async def test_cancelled_start_leaves_nothing_running(data: Path) -> None:
    """A start that is cancelled while the server comes up ends the server and gives the folder back."""
    postgres = EmbeddedPostgres(data)
    start = asyncio.create_task(postgres.start())
    await eventually(lambda: postgres.cluster.server_pid() is not None)
    pid = server_pid(postgres)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    assert processes.command_line(pid) is None
    await start_and_stop(data)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_the_ends_of_a_predecessors_sessions_are_no_reason(before: bool) -> None:
    """They stand in the same log as the new server's reason, before it or after: on a busy machine some sessions notice
    only then that their server was killed. What hides behind them is that one has to wait.
    """
    moment = "2026-11-30 16:06:26.423 UTC"
    end = f"{moment} [4386] FATAL:  terminating connection due to unexpected postmaster exit"
    reason = f"{moment} [4527] FATAL:  pre-existing shared memory block (key 55134337, ID 29753455) is still in use"
    hint = f"{moment} [4527] HINT:  Terminate any old server processes associated with the data directory."
    starting = f"{moment} [4527] LOG:  starting PostgreSQL 18.3"
    lines = [starting, end, reason, hint] if before else [starting, reason, hint, end]
    assert reasons_of("\n".join(lines)) == [reason]
