"""What is refused on its way in, where an operator looks: the answer, the log, the metric and `ingestReport`."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ingesting import Ingest, call, ingesting
from running import RunningService

from policies import Role
from service.access.principal import Principal
from service.api.calls.ingest_report import RefusalReason
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.storage.control.refusals import forget_refusals

REPORT = """
query ($since: DateTime!, $until: DateTime) {
  ingestReport(since: $since, until: $until) {
    since until refused truncated rows { hour source reason account refused }
  }
}
"""
NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = (NOW - timedelta(hours=3)).isoformat()
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(
        tmp_path_factory.mktemp("refusals") / "data", environment={"CALLEDGER_MAX_BODY_BYTES": "100000"}
    )
    try:
        yield running
    finally:
        running.kill()


def native(name: str, **facts: Any) -> dict[str, Any]:
    return json.loads(json.dumps(call(name, **facts), default=str))


def counts(service: RunningService, key: str, since: str = SINCE) -> Counter[tuple[str, str, str | None]]:
    answer = service.ask(key, REPORT, since=since)
    assert "errors" not in answer, answer
    report = answer["data"]["ingestReport"]
    assert report["refused"] == str(sum(int(row["refused"]) for row in report["rows"]))
    found: Counter[tuple[str, str, str | None]] = Counter()
    for row in report["rows"]:
        assert datetime.fromisoformat(row["hour"]).minute == 0
        found[row["source"], row["reason"], row["account"]] += int(row["refused"])
    return found


def metric(service: RunningService, source: str, reason: str) -> float:
    start = f'calledger_ingest_refused_total{{reason="{reason}",source="{source}"}} '
    line = next(line for line in service.metrics().splitlines() if line.startswith(start))
    return float(line.removeprefix(start))


def log_lines(service: RunningService, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_rows_that_are_refused_are_counted_everywhere(service: RunningService) -> None:
    """By reason and source in the answer, the metric, one log line and the report; durable when it is answered."""
    key, admin = service.new_key("ingest", "acme"), service.admin_key
    before = counts(service, admin)
    service.report(key, native("r-conflict", amount="1"))

    answer = service.report(
        key,
        native("r-good"),
        native("r-conflict", amount="2"),
        {"id": "r-1", "prompt": SECRET},
        {"id": "r-2", "prompt": SECRET},
        native("r-status") | {"status": SECRET},
        native("r-old") | {"started_at": "2001-01-01T00:00:00Z"},
        native("r-other", account="umbrella"),
    )

    refused = {"account_not_allowed": 1, "conflict": 1, "field_invalid": 1, "field_missing": 2, "too_old": 1}
    assert answer["refused"] == refused
    assert [result.get("code") for result in answer["results"]][:3] == [None, "conflict", "field_missing"]
    assert counts(service, admin) - before == {
        ("native", reason.upper(), "acme"): count for reason, count in refused.items()
    }
    assert {reason: metric(service, "native", reason) for reason in refused} == refused
    line = log_lines(service, "calls were refused")[-1]
    assert {name: line.get(name) for name in refused} == refused
    assert (line["source"], line["rows"], line["refused"]) == ("native", 7, 6)
    assert line["key_id"] in key
    assert SECRET.encode() not in service.everything_on_disk()


@pytest.mark.parametrize(
    ("body", "key", "headers", "status", "reason"),
    [
        (b"no rows", "ingest", {}, 400, "body_unreadable"),
        (b" " * 100_001, "ingest", {}, 413, "body_too_large"),
        (b"{}", "ingest", {"Content-Encoding": "br"}, 415, "encoding_not_supported"),
        (b"{}", None, {}, 401, "unauthenticated"),
        (b"{}", "viewer", {}, 403, "forbidden"),
    ],
)
def test_requests_that_are_refused_as_a_whole_are_counted(
    service: RunningService, body: bytes, key: str | None, headers: dict[str, str], status: int, reason: str
) -> None:
    """A request that is refused before its rows are known counts once, by its reason."""
    before, metric_before = counts(service, service.admin_key), metric(service, "litellm", reason)
    given = None if key is None else service.new_key(key)

    got = service.request("POST", "/v1/litellm", key=given, body=body, headers=headers)

    assert (got[0], json.loads(got[2])["error"]["code"]) == (status, reason)
    assert metric(service, "litellm", reason) == metric_before + 1
    line = log_lines(service, "a report was refused")[-1]
    assert (line["source"], line["refusal"]) == ("litellm", reason)
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    while not (added := counts(service, service.admin_key) - before) and datetime.now(UTC) < deadline:
        pass
    assert added == {("litellm", reason.upper(), None): 1}


def test_a_request_that_is_cut_off_is_counted(service: RunningService) -> None:
    """What a proxy between cut off is lost as well."""
    key = service.new_key("ingest")
    before = metric(service, "native", "body_incomplete")
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(head.encode() + b'[{"id"')

    deadline = datetime.now(UTC) + timedelta(seconds=60)
    while metric(service, "native", "body_incomplete") == before:
        assert datetime.now(UTC) < deadline


@pytest.mark.parametrize("path", ["/v1/calls", "/graphql"])
def test_a_client_that_hangs_up_is_no_failure_of_ours(service: RunningService, path: str) -> None:
    """The request's line in the log has status 499, and there is no line of an error: who alerts on 5xx sees none."""
    key, seen = service.admin_key, len(service.log.read_text())
    host, port = service.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 5000\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\n\r\n[".encode())

    deadline, lines = datetime.now(UTC) + timedelta(seconds=60), list[dict[str, Any]]()
    while sum(line["event"] == "request" and line["route"] == path for line in lines) < 5:
        assert datetime.now(UTC) < deadline
        lines = [json.loads(line) for line in service.log.read_text()[seen:].splitlines() if line.endswith("}")]
    assert {line["status"] for line in lines if line["event"] == "request" and line["route"] == path} == {499}
    assert not [line for line in lines if line["level"] == "error"]


def test_a_client_that_does_not_read_its_answer_has_reported_all_the_same(service: RunningService) -> None:
    """A long answer is sent in pieces; when its client goes meanwhile, the body was not incomplete for that."""
    key, seen = service.new_key("ingest"), len(service.log.read_text())
    missing, incomplete = (metric(service, "native", reason) for reason in ("field_missing", "body_incomplete"))
    host, port = service.url.removeprefix("http://").split(":")
    body = b"[" + b",".join([b"{}"] * 30_000) + b"]"
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}\r\n".encode() + body)
        assert connection.recv(12) == b"HTTP/1.1 200"

    deadline, lines = datetime.now(UTC) + timedelta(seconds=60), list[dict[str, Any]]()
    while not [line for line in lines if line["event"] == "request" and line["route"] == "/v1/calls"]:
        assert datetime.now(UTC) < deadline
        lines = [json.loads(line) for line in service.log.read_text()[seen:].splitlines() if line.endswith("}")]
    assert not [line for line in lines if line["level"] == "error"]
    assert metric(service, "native", "field_missing") == missing + 30_000
    assert metric(service, "native", "body_incomplete") == incomplete


def test_counts_outlive_the_process(service: RunningService) -> None:
    """What a row was refused for is on record before it is answered: a power cut takes nothing of it."""
    service.report(service.new_key("ingest"), {"id": "cut"})
    before = counts(service, service.admin_key)

    service.kill()
    service.start()

    assert counts(service, service.admin_key) == before


def test_who_may_ask_and_what_they_see(service: RunningService) -> None:
    """Operators and auditors ask; a key that is bound to an account sees what keys of that account sent."""
    service.report(service.new_key("ingest", "globex"), {"id": "x"})
    service.report(service.new_key("ingest"), {"id": "y"})

    for role in ("support", "auditor", "compliance", "admin"):
        assert ("native", "FIELD_MISSING", None) in counts(service, service.new_key(role)), role
        bound = counts(service, service.new_key(role, "globex"))
        assert bound == {("native", "FIELD_MISSING", "globex"): 1}, role
    for role in ("ingest", "viewer"):
        answer = service.ask(service.new_key(role), REPORT, since=SINCE)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", role


def test_times_are_checked(service: RunningService) -> None:
    """A time that ends before it begins, or is longer than counts are kept, is refused in words."""
    for since, until in ((NOW, NOW), (NOW, NOW - timedelta(days=1)), (NOW - timedelta(days=90), NOW)):
        answer = service.ask(service.admin_key, REPORT, since=since.isoformat(), until=until.isoformat())
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_counts_are_kept_for_a_month(ingest: Ingest) -> None:
    """What is older is forgotten with the daily work, and nothing else."""
    await ingest.database.owner.execute(
        "INSERT INTO ingest_refusal SELECT clock_timestamp() - make_interval(days => n), 0, 1, 'too_old', 1 "
        "FROM generate_series(0, 60) AS n"
    )

    await forget_refusals(ingest.database.owner)

    assert await ingest.value("SELECT count(*) FROM ingest_refusal") == 31


async def test_counts_wait_for_the_database(ingest: Ingest) -> None:
    """While the database is away counts stay in memory, and are on record when it is there again."""
    log = RefusalLog(ingest.database.writer)
    await log.start()
    principal = Principal("testkey2", Role.INGEST, None)
    await ingest.database.owner.execute("ALTER TABLE ingest_refusal RENAME TO hidden")
    reasons = Counter({Refusal.TOO_NEW: 3})

    await log.refuse_rows("native", principal, reasons, of=4)
    await ingest.database.owner.execute("ALTER TABLE hidden RENAME TO ingest_refusal")
    await log.refuse_rows("native", principal, reasons, of=4)
    await log.close()

    assert await ingest.value("SELECT sum(refused) FROM ingest_refusal WHERE reason = 'too_new'") == 6


@pytest.fixture
async def ingest(database_url: str, tmp_path: Any) -> Any:
    async with ingesting(database_url, tmp_path) as made:
        yield made


def test_graphql_has_every_reason() -> None:
    """The reasons of the schema are those that are counted."""
    assert [reason.name for reason in RefusalReason] == [reason.name for reason in Refusal]


def test_the_bound_of_reports_is_not_that_of_queries(service: RunningService) -> None:
    """Where reports are bound to less, GraphQL takes what it says that it takes, and the refusal names that bound."""
    padding = "#" + "x" * 500_000
    for size, status in ((500_000, 200), (2**20, 413)):
        body = json.dumps({"query": f"{{ viewer {{ role }} }} {padding[:size]}", "variables": {}}).encode()
        body += b" " * (size - len(body) + 1)
        answered, _, answer = service.request("POST", "/graphql", key=service.admin_key, body=body)
        assert answered == status, answer
    assert b"at most 1048576 bytes" in answer
