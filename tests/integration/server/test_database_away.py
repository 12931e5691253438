"""The database away, read-only, or on a full disk: said with a code of its own, by every door."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import Server, running_server
from running import RunningService, command

from service.storage import readiness
from service.storage.database import Database
from service.storage.embedded import processes

CALLS = json.dumps({"query": "{ calls { nodes { id } } }"}).encode()
REPORT = json.dumps({"id": "a"}).encode()


class Outage:
    """A service on a PostgreSQL of its own, which `begin` takes away."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self.server = self._stack.enter_context(running_server(processes.bundled_programs()))
        url = self._stack.enter_context(self.server.database(template=self.server.template()))
        self.environment = {"CALLEDGER_DATABASE_URL": url}
        self.service = RunningService(folder / "data", environment=self.environment)
        self.key = self.service.admin_key

    def begin(self) -> None:
        self._stack.close()

    def end(self) -> None:
        self.service.kill()
        self._stack.close()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    made = Outage(tmp_path_factory.mktemp("outage"))
    try:
        assert made.service.request("POST", "/graphql", key=made.key, body=CALLS)[0] == 200
        assert made.service.request("GET", "/readyz")[0] == 200
        made.begin()
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json", "*/*"])
def test_graphql_says_that_the_database_is_away(outage: Outage, accept: str) -> None:
    """503 and UNAVAILABLE for every client, and when to ask again; nobody is told that it was our mistake."""
    status, headers, body = outage.service.request(
        "POST", "/graphql", key=outage.key, body=CALLS, headers={"Accept": accept, "Content-Type": "application/json"}
    )

    codes = {error["extensions"]["code"] for error in json.loads(body)["errors"]}
    assert codes == {"UNAVAILABLE"}
    assert (status, headers["Retry-After"]) == (503, "2")


def test_a_key_that_cannot_be_looked_up_is_no_wrong_key(outage: Outage) -> None:
    """Who cannot be told apart from a stranger now is asked to come again, by GraphQL as by ingest."""
    other = outage.key[:-1] + ("a" if outage.key[-1] != "a" else "b")
    unknown = "cl_" + other[3:][::-1]
    for path, body in (("/graphql", CALLS), ("/v1/calls", REPORT)):
        status, headers, _ = outage.service.request("POST", path, key=unknown, body=body)
        assert status in (401, 503)
        assert (status == 503) == ("Retry-After" in headers)


def test_ingest_and_readiness_say_so_too(outage: Outage) -> None:
    """Nothing is taken, and whoever routes requests is told; the process itself is alive."""
    while outage.service.request("GET", "/readyz")[0] == 200:  # what was seen a moment ago holds for a second
        pass
    assert outage.service.request("GET", "/healthz")[0] == 200
    status, headers, body = outage.service.request(
        "POST", "/v1/calls", key=outage.key, body=json.dumps(_call()).encode()
    )
    assert (status, json.loads(body)["error"]["code"]) == (503, "unavailable")
    assert headers["Retry-After"]


def test_status_says_what_it_can(outage: Outage) -> None:
    """The command ends with an error, after it has said where the data lies and what is wrong with the database."""
    done = command(outage.service.data, "status", environment=outage.environment)

    assert done.returncode == 1
    assert "cannot be used now: the database at" in done.stdout
    assert "MB free" in done.stdout


def test_a_database_that_is_read_only_is_not_ready(embedded_18: Server, tmp_path: Path) -> None:
    """A standby, or a database that an operator made read-only, takes no reports."""
    with embedded_18.database(template=embedded_18.template()) as url:
        running = RunningService(tmp_path / "data", environment={"CALLEDGER_DATABASE_URL": url})
        try:
            assert running.request("GET", "/readyz")[0] == 200
            name = urlsplit(url).path.lstrip("/")
            embedded_18.execute(
                f"ALTER DATABASE {name} SET default_transaction_read_only = on",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
            )
            while running.request("GET", "/readyz")[0] == 200:
                pass
            status, _, body = running.request("GET", "/readyz")
            assert status == 503
            while b"read-only" not in body:
                body = running.request("GET", "/readyz")[2]
        finally:
            running.kill()


async def test_a_full_disk_is_not_ready(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the database fails on it: what is free under the embedded one is looked at too."""
    database = await Database.open(database_url, read_connections=1, statement_timeout_ms=1000)
    try:
        assert await readiness.Readiness(database.owner, tmp_path).missing() is None
        monkeypatch.setattr(readiness, "_FREE_BYTES_MIN", 2**62)
        assert await readiness.Readiness(database.owner, tmp_path).missing() == "the disk of the database is full"
        assert await readiness.Readiness(database.owner, None).missing() is None
    finally:
        await database.close()


def _call() -> dict[str, str]:
    return {"id": "a", "started_at": "2026-11-29T10:00:00Z", "model": "m", "status": "succeeded"}
