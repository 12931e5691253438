"""`calledger sql-access`: what analysts find in the folder is what their role would be answered, and ends with it."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from running import RunningService

NOW = datetime.now(UTC).replace(microsecond=0)
CANARY = "canary@example.org"


def call(number: int, age: timedelta, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"r-{number}", "started_at": (NOW - age).isoformat(), "model": f"m-{number % 2}", "provider": "openai",
        "user": CANARY, "status": "succeeded", "amount": "0.000000000001", "currency": "USD", "input_tokens": 10,
        "output_tokens": 5, "latency_ms": 100 + number, "tags": {"team": "search"}, "api_key": "k", **fields,
    }  # fmt: skip


def failed(number: int, age: timedelta) -> dict[str, Any]:
    error = {"type": "RateLimitError", "code": "429", "message": f"limit for {CANARY}"}
    return call(number, age, status="failed", error=error)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path / "data")
    day = timedelta(days=1)
    for account in ("acme", "globex"):
        key = running.new_key("ingest", account)
        rows = [
            call(0, timedelta(hours=1)),
            call(1, 20 * day),
            call(2, 35 * day),
            failed(3, 2 * day),
            failed(4, 20 * day),
        ]
        answer = running.report(key, *rows)
        assert answer["accepted"] == len(rows), answer
    yield running
    running.stop()


def write(service: RunningService, folder: Path, *options: str) -> str:
    done = service.command("sql-access", "write", str(folder), "--days", "40", *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    """As `duckdb -init open.sql` in the folder."""
    monkeypatch.chdir(folder)
    connection = duckdb.connect()
    connection.execute((folder / "open.sql").read_text())
    return connection


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_analysts_find_what_their_role_is_answered(
    service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, pseudonyms, exact money, masked messages: those of GraphQL; of other accounts nothing, by a partner's view
    no pseudonym, and nowhere who it was."""
    wide, narrow = tmp_path / "wide", tmp_path / "narrow"
    write(service, wide, "--role", "viewer")
    write(service, narrow, "--role", "partner", "--account", "acme")
    key = service.new_key("viewer")
    query = '{ calls(first: 50, filter: {account: {eq: "acme"}}) { nodes { id user amount { amount } } } }'
    answered = {
        (node["id"], node["user"], Decimal(node["amount"]["amount"]))
        for node in service.ask(key, query)["data"]["calls"]["nodes"]
    }
    found = opened(wide, monkeypatch).execute("SELECT id, user, amount FROM calls WHERE account = 'acme'").fetchall()
    assert {*found} == answered and len(found) == 5
    partner = opened(narrow, monkeypatch)
    assert {*partner.execute("SELECT id, user FROM calls").fetchall()} == {(id_, None) for id_, *_ in answered}
    assert partner.execute("SELECT DISTINCT message FROM errors").fetchall() == [
        ("limit for [redacted:reported-person]",)
    ]
    assert partner.execute("SELECT account, sum(calls) FROM costs GROUP BY 1").fetchall() == [("acme", 5)]
    assert b"globex" not in everything(narrow)
    assert CANARY.encode() not in everything(wide)
    queries = (Path(__file__).parents[3] / "docs" / "analysts.md").read_text().split("```sql\n")[1].split("```")[0]
    reading = opened(wide, monkeypatch)
    answers = [reading.execute(query).fetchall() for query in queries.split(";") if query.strip()]
    assert len(answers) == 10
    assert all(answers[:7]) and all(answers[8:]), answers  # failed calls cost nothing but where a gateway says so


def test_what_ends_before_the_next_run_is_left_out(
    service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors live 30 days and pseudonyms as long: read 15 days ahead, those of 20 days ago are not there."""
    folder = tmp_path / "folder"
    write(service, folder, "--role", "viewer", "--account", "acme")
    usual = opened(folder, monkeypatch)
    assert usual.execute("SELECT count(*) FROM errors").fetchone() == (2,)
    assert usual.execute("SELECT count(user) FROM calls").fetchone() == (4,)
    write(service, folder, "--role", "viewer", "--account", "acme", "--every", "15d")
    ahead = opened(folder, monkeypatch)
    assert ahead.execute("SELECT count(*) FROM errors").fetchone() == (1,)
    assert ahead.execute("SELECT count(*), count(user) FROM calls").fetchone() == (5, 2)


def test_another_policy_or_an_erasure_leaves_nothing_of_before(service: RunningService, tmp_path: Path) -> None:
    """A field that is denied from now on is in no file, nor who was erased; a role that may not ask gets nothing."""
    folder = tmp_path / "folder"
    write(service, folder, "--role", "viewer")
    old = {path.name for path in (folder / "calls").iterdir()}
    erased = service.command("erase", "--account", "globex", "--all", "--reason", "asked")
    assert erased.returncode == 0, erased.stderr
    write(service, folder, "--role", "viewer")
    assert b"globex" not in everything(folder)
    text = service.command("policy", "show").stdout
    changed = tmp_path / "policy.toml"
    changed.write_text(
        re.sub(r"(\[roles\.viewer\.fields\]\n)", r'\1"Call.model" = "denied"\n', text).replace(
            "version = 1", "version = 2"
        )
    )
    applied = service.command("policy", "apply", str(changed))
    assert applied.returncode == 0, applied.stderr
    write(service, folder, "--role", "viewer")
    assert b"m-1" not in everything(folder) and {path.name for path in (folder / "calls").iterdir()} == old
    refused = service.command("sql-access", "write", str(folder), "--role", "auditor")
    assert refused.returncode == 1 and "auditor" in refused.stderr
    assert not [*folder.rglob("*.parquet")]


def test_it_is_in_the_ledger_and_ends(service: RunningService, tmp_path: Path) -> None:
    """Each run and table: as whom, of which accounts and how many rows. `end` removes it; other folders are let be."""
    folder = tmp_path / "folder"
    write(service, folder, "--role", "partner", "--account", "acme")
    entries = "{ ledger(filter: {kind: {eq: EXPORTED}}, first: 9) { nodes { leaf } } }"
    nodes = service.ask(service.new_key("auditor"), entries)["data"]["ledger"]["nodes"]
    facts = [json.loads(base64.b64decode(node["leaf"]))["facts"] for node in nodes]
    assert [(one["kind"], one["format"], one["role"], one["rows"]) for one in facts] == [
        ("CALLS", "PARQUET", "partner", 5), ("ERRORS", "PARQUET", "partner", 2), ("COSTS", "PARQUET", "partner", 5)
    ]  # fmt: skip
    assert all(len(one["accounts"]) == 1 for one in facts)
    assert service.command("sql-access", "end", str(folder)).returncode == 0
    assert not [*folder.iterdir()]
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("x")
    for verb in (("write", str(other), "--role", "viewer"), ("end", str(other))):
        refused = service.command("sql-access", *verb)
        assert refused.returncode == 1 and "calledger sql-access" in refused.stderr
    assert (other / "mine.txt").read_text() == "x"
    assert "partner" in service.command("sql-access", "write", str(folder), "--role", "partner").stderr
