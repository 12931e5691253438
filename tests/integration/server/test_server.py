"""`calledger serve`: ready lines, ports, signals, workers, and the demo."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from running import PYTHON_PATH, RunningService, command, database_url

from service.demo.calls import sample_calls

VIEWER = b'{"query": "{ viewer { role } }"}'


def call(number: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"id": f"req-{number}", "started_at": now, "account": "acme", "model": "m", "status": "succeeded"}


def workers_of(service: RunningService) -> list[int]:
    """The processes that answer, by their parent (proc(5))."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == service.process.pid and b"service\0work" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def half_sent(service: RunningService, body: bytes) -> socket.socket:
    """A connection that has sent all of a report but the last byte, and that the service has begun to answer."""
    host, port = service.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    head = (
        f"POST /v1/calls HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {service.admin_key}\r\n"
        f"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    connection.sendall(body[:-1])
    return connection


@pytest.fixture(params=["1", "2"])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningService]:
    service = RunningService(tmp_path / "data", "--workers", request.param, is_fresh=True)
    yield service
    if service.process.poll() is None:
        service.stop()


def test_a_stop_finishes_what_is_under_way(service: RunningService) -> None:
    """SIGTERM waits for a report whose last byte is still to come, stores it, answers it, and exits with 0."""
    connection = half_sent(service, json.dumps(call(1)).encode())
    with connection:
        service.process.send_signal(signal.SIGTERM)
        # A new connection is refused as soon as the stop has begun.
        while service.process.poll() is None:
            try:
                socket.create_connection(connection.getpeername()[:2], timeout=5).close()
            except ConnectionRefusedError:
                break
            except ConnectionResetError:  # it came while the door was closing
                continue
        connection.sendall(b"}")
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert service.ended() == 0
    assert [json.loads(row)["sourceId"] for row in service.command("export", "calls").stdout.splitlines()] == ["req-1"]


def test_keys_reach_every_worker(service: RunningService) -> None:
    """A new key works and a revoked key ends in all processes that answer, without waiting for their memory."""
    key = service.new_key("viewer")
    answers = [service.request("POST", "/graphql", key=key, body=VIEWER)[0] for _ in range(20)]
    assert set(answers) == {200}

    service.command("keys", "revoke", key.split("_")[1])

    # A NOTIFY travels for a moment; a memory would last half a minute, and 500 requests don't.
    answers = []
    while answers[-20:] != [401] * 20:
        answers.append(service.request("POST", "/graphql", key=key, body=VIEWER)[0])
        assert len(answers) < 500


def test_workers_end_with_the_service(tmp_path: Path) -> None:
    """Workers do not outlive a service that is killed."""
    service = RunningService(tmp_path / "data", "--workers", "2")
    workers = workers_of(service)
    assert len(workers) == 2
    service.kill()
    while any(map(lives, workers)):
        os.sched_yield()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_refused_first(tmp_path: Path, workers: str) -> None:
    """A port that another service has, even one that shares it among workers, is refused before anything is made."""
    service = RunningService(tmp_path / "data", "--workers", "2")
    port = service.url.rsplit(":", 1)[1]

    done = command(tmp_path / "other", "serve", "--port", port, "--workers", workers)
    service.stop()

    assert done.returncode == 1
    assert f"`127.0.0.1:{port}` cannot be listened on (address already in use)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("host", ["203.0.113.1", "nowhere.invalid"])
def test_a_foreign_address_is_refused(tmp_path: Path, host: str) -> None:
    """An address that is not this machine's is refused in one line."""
    done = command(tmp_path / "data", "serve", "--host", host, "--port", "0")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is --host an address of this machine?" in done.stderr


def test_a_second_service_is_refused(tmp_path: Path) -> None:
    """Two services on one data directory: the second says who has it, and the first goes on."""
    service = RunningService(tmp_path / "data")

    done = command(service.data, "serve", "--port", "0")

    assert done.returncode == 1
    assert f"process {service.process.pid}" in done.stderr
    assert service.request("GET", "/readyz")[0] == 200
    service.stop()


def test_a_keyring_that_goes_away_is_noticed(tmp_path: Path) -> None:
    """Within seconds: an error in the log, and `/readyz` says that the service is degraded; and that it is back."""
    service = RunningService(tmp_path / "data")
    keyring, away = service.data / "keyring", service.data / "moved"

    keyring.rename(away)
    assert json.loads(service.request("GET", "/readyz")[2]) == {"status": "degraded", "missing": ["the keyring"]}
    until(lambda: "the keyring is gone" in service.log.read_text())
    away.rename(keyring)
    until(lambda: "the keyring is back" in service.log.read_text())
    assert json.loads(service.request("GET", "/readyz")[2]) == {"status": "ok"}
    service.stop()


def until(holds: Callable[[], bool]) -> None:
    """Wait for what happens."""
    while not holds():
        time.sleep(0.1)


def demo_keys(service: RunningService) -> dict[str, str]:
    return dict(line.split() for line in service.lines[:-1])


def loaded(service: RunningService) -> int:
    """How many calls the demo has, by what it is made of: those of the thirty days before its ledger was made."""

    async def made_at() -> datetime:
        connection = await asyncpg.connect(database_url(service.data))
        try:
            return await connection.fetchval("SELECT created_at FROM installation")
        finally:
            await connection.close()

    return len(list(sample_calls(asyncio.run(made_at()))))


def test_the_demo_can_be_read_by_each_key(tmp_path: Path) -> None:
    """--demo prints a key for each reader before the ready line; a second start prints new ones and ends the old."""
    service = RunningService(tmp_path / "data", "--demo", is_first=True)
    first = demo_keys(service)
    assert list(first) == ["admin", "viewer", "partner", "support", "auditor", "compliance", "ingest"]
    count = "{ calls(first: 1) { totalCount nodes { account } } }"
    everything = service.ask(first["viewer"], count)["data"]["calls"]["totalCount"]
    assert everything == loaded(service)
    assert 0 < service.ask(first["partner"], count)["data"]["calls"]["totalCount"] < everything
    assert service.ask(first["auditor"], count)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert service.report(first["ingest"], call(1))["accepted"] == 1
    service.stop()

    service.start()
    second = demo_keys(service)

    assert service.ask(second["viewer"], count)["data"]["calls"]["totalCount"] == everything + 1
    assert service.request("POST", "/graphql", key=first["viewer"], body=VIEWER)[0] == 401
    service.stop()


def test_the_demo_is_not_mixed_with_real_calls(tmp_path: Path) -> None:
    """--demo refuses a ledger in real use, and leaves it as it is."""
    service = RunningService(tmp_path / "data")
    service.report(service.admin_key, call(1))
    service.stop()

    done = command(service.data, "serve", "--demo", "--port", "0")

    assert (done.returncode, done.stdout) == (1, "")
    assert "in real use" in done.stderr
    assert len(service.command("export", "calls").stdout.splitlines()) == 1


async def test_a_ledger_in_use_is_no_demo_because_its_table_says_so(tmp_path: Path) -> None:
    """The mark of a demo counts only with its entry: whoever sets it by hand makes no demo of real calls, and is told
    of by fsck."""
    service = RunningService(tmp_path / "data")
    service.report(service.admin_key, call(1))
    connection = await asyncpg.connect(database_url(service.data))
    await connection.execute("UPDATE installation SET demo = true")
    await connection.close()
    assert "no sample calls are loaded by the ledger" in service.command("fsck").stdout
    service.stop()

    done = command(service.data, "serve", "--demo", "--port", "0")

    assert (done.returncode, done.stdout) == (1, "")
    assert "in real use" in done.stderr


def test_a_demo_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    """A first start with --demo that is killed while it loads is completed by the next: each sample call once."""
    data = tmp_path / "data"
    arguments = [sys.executable, "-m", "service", "serve", "--demo", "--port", "0", "--data", str(data)]
    environment = {**os.environ, **PYTHON_PATH}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as first:
        keys = data / "keyring" / "packs" / "accounts"
        while not keys.exists() and first.poll() is None:  # the key of an account comes with its first error
            os.sched_yield()
        first.kill()

    service = RunningService(data, "--demo")

    counted = service.ask(demo_keys(service)["viewer"], "{ calls { totalCount } }")["data"]["calls"]["totalCount"]
    assert counted == loaded(service)
    assert "FAIL" not in service.command("fsck").stdout
    service.stop()
