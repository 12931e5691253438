"""Sources that the service pulls: their history, what comes in later, and what is wrong with them meanwhile."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from aiohttp import web
from importing import fetch
from newapi import NOW, consumed, sqlite_of
from newapi_server import TOKEN, USER, LogServer
from running import RunningService, database_url
from served import serving

WAIT_S: Final = 60


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def gateway() -> Iterator[LogServer]:
    with serving(LogServer([consumed(id_, created_at=NOW - 40_000 + id_ * 60) for id_ in range(1, 301)])) as running:
        yield running


def add(service: RunningService, name: str, address: str, *more: str) -> None:
    done = service.command("sources", "add", name, "new-api", address, "--account", name, *more)
    assert done.returncode == 0, done.stderr


def calls(service: RunningService, account: str) -> int:
    statement = "SELECT count(*) FROM call WHERE account_id = (SELECT id FROM account WHERE name = $1)"
    return fetch(service.data, statement, account)[0]["count"]


def state(service: RunningService, name: str) -> Any:
    return fetch(service.data, "SELECT *, due_at - clock_timestamp() AS wait FROM source WHERE name = $1", name)[0]


def pulled(service: RunningService, name: str) -> Any:
    """Pull a source by hand, once no other process reads it."""
    deadline = time.monotonic() + WAIT_S
    while (done := service.command("pull", name)).stdout.endswith("reads it just now\n"):
        assert time.monotonic() < deadline
    return done


def execute(data: Path, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database_url(data))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_the_service_pulls_a_log(service: RunningService, gateway: LogServer, token: Path) -> None:
    """What is there is read by itself; what comes later, and what was late, by the next round, each row once."""
    add(service, "shop", gateway.url, "--secret-file", str(token), "--user-id", USER, "--every", "1h")
    deadline = time.monotonic() + WAIT_S
    while state(service, "shop")["read_at"] is None:
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.1)
    assert calls(service, "shop") == 300
    gateway.log += [consumed(400, created_at=int(time.time()) - 200), consumed(401, created_at=int(time.time()) - 100)]
    done = pulled(service, "shop")
    assert done.returncode == 0, done.stderr
    assert calls(service, "shop") == 302
    assert pulled(service, "shop").stdout.rstrip().endswith("2 known, 0 refused")
    read = state(service, "shop")
    assert (read["failures"], read["failure"], read["rows"] >= 302) == (0, None, True)
    assert read["last_row_at"].timestamp() > time.time() - 600
    assert service.command("fsck").returncode == 0


def test_a_source_that_fails_says_why_and_goes_on(service: RunningService, gateway: LogServer, token: Path) -> None:
    """It vanishes in the middle, refuses, and is back: what was read stays, the failure is noted, no row is missing."""
    gateway.before = lambda count: web.Response(status=418) if count > 2 else None
    add(service, "moody", gateway.url, "--secret-file", str(token), "--user-id", USER, "--every", "1h")
    failed = pulled(service, "moody")
    assert failed.returncode == 1 or state(service, "moody")["failures"]
    gateway.before = lambda _: web.json_response({"success": False, "message": f"无权, sk-proj-{'Zk4' * 16}"})
    assert pulled(service, "moody").returncode == 1
    noted = state(service, "moody")
    assert noted["failures"] >= 2
    assert noted["wait"].total_seconds() > 3_000
    assert noted["failure"].startswith("the gateway refuses to show its log: 无权")
    assert "Zk4Zk4" not in noted["failure"]
    listed = service.command("sources", "list").stdout
    assert "the gateway refuses to show its log" in listed
    gateway.before = lambda _: None
    assert pulled(service, "moody").returncode == 0
    assert calls(service, "moody") == 300
    assert state(service, "moody")["failures"] == 0


def test_a_database_that_changes_is_named(service: RunningService, tmp_path: Path) -> None:
    """Its table loses a column, and has it again: the failure names the column, and no row is missing."""
    path = tmp_path / "logs.db"
    add(service, "files", sqlite_of(path, "new-api 1.0", [consumed(id_) for id_ in range(1, 51)]), "--every", "1h")
    assert pulled(service, "files").returncode == 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE logs RENAME COLUMN quota TO amount")
    assert pulled(service, "files").returncode == 1
    assert state(service, "files")["failure"].startswith("the table `logs` has no `quota`")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE logs RENAME COLUMN amount TO quota")
    sqlite_of(path, "new-api 1.0", [consumed(id_) for id_ in range(1, 91)])
    assert pulled(service, "files").returncode == 0
    assert calls(service, "files") == 90


def test_a_killed_service_goes_on(service: RunningService, tmp_path: Path) -> None:
    """Killed while it reads, another one reads on behind what was saved once the lease has ended."""
    log = [consumed(id_) for id_ in range(1, 12_001)]
    add(service, "killed", sqlite_of(tmp_path / "long.db", "new-api 1.0", log), "--every", "10s")
    deadline = time.monotonic() + WAIT_S
    while not state(service, "killed")["reached"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    service.kill()
    service.start()
    execute(service.data, "UPDATE source SET leased_until = NULL, due_at = clock_timestamp() WHERE name = 'killed'")
    deadline = time.monotonic() + WAIT_S
    while state(service, "killed")["reached"] != "12000":
        assert time.monotonic() < deadline, service.log.read_text()[-2000:]
        time.sleep(0.1)
    assert calls(service, "killed") == 12_000


def test_secrets_of_sources_are_sealed(service: RunningService, gateway: LogServer, token: Path) -> None:
    """Neither the token nor the user of the address is in the database, in lists or logs; removed, it is gone."""
    address = gateway.url.replace("http://", "http://someone-7714@")
    add(service, "sealed", address, "--secret-file", str(token), "--user-id", USER, "--every", "1h")
    again = service.command("sources", "add", "sealed", "new-api", address, "--secret-file", str(token))
    assert again.returncode == 1
    assert "there is a source `sealed` already" in again.stderr
    listed = service.command("sources", "list").stdout
    assert "sealed\tnew-api\thttp://127.0.0.1" in listed
    disk = service.everything_on_disk()
    for secret in (TOKEN, "someone-7714"):
        assert secret not in listed
        assert secret.encode() not in disk
    assert service.command("sources", "remove", "sealed").returncode == 0
    assert service.command("sources", "remove", "sealed").returncode == 1
    assert service.command("pull", "sealed").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "native", "http://127.0.0.1"), "is imported from a file"),
        (("x", "new-api", "http://127.0.0.1"), "wants its token"),
        (("x", "new-api", "http://a:b@127.0.0.1"), "holds a password"),
        (("x", "new-api", "sqlite:///x.db", "--every", "1s"), "every 10 seconds"),
        (("x", "new-api", "sqlite:///x.db", "--every", "often"), "is not a span"),
        ((f"sk-proj-{'Ab3' * 16}", "new-api", "sqlite:///x.db"), "no secret"),
    ],
)
def test_a_source_is_one_that_can_be_pulled(service: RunningService, arguments: tuple[str, ...], words: str) -> None:
    """What could never be read is refused when it is added."""
    done = service.command("sources", "add", *arguments)
    assert done.returncode in (1, 2)
    assert words in " ".join(done.stderr.replace("│", " ").split())
