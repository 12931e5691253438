"""The programs of `examples/`, as users run them."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from running import RunningService

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("examples") / "data")
    yield running
    running.stop()


def call(id_: str, **facts: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"id": id_, "started_at": now, "account": "acme", "model": "m", "status": "succeeded", **facts}


def consume(service: RunningService, key: str, copy: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, EXAMPLES / "feed_consumer.py", service.url, copy, *options],
        env={**os.environ, "CALLEDGER_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_feed_consumer_keeps_a_copy_that_compares(service: RunningService, tmp_path: Path) -> None:
    """Calls, a completion and a correction come once each, run after run, and the checksums are the ledger's."""
    copy, moment = tmp_path / "copy.sqlite", datetime.now(UTC).isoformat(timespec="milliseconds")
    first = call("a", started_at=moment)
    service.report(service.admin_key, first, call("b", amount="2", currency="USD"), call("theirs", account="other"))
    key = service.new_key("partner", "acme")
    done = until_changes(service, key, copy, 2)
    service.report(service.admin_key, {**first, "output_tokens": 5})
    service.report(service.admin_key, call("b-back", amount="-1", currency="USD", corrects="b"))
    done = until_changes(service, key, copy, 4)

    compared = consume(service, key, copy, "--compare")

    assert (done.returncode, compared.returncode, compared.stdout) == (0, 0, "0 changes\n"), compared.stdout
    with sqlite3.connect(copy) as database:
        kinds = [row[0] for row in database.execute("SELECT kind FROM change ORDER BY number")]
        calls = database.execute("SELECT count(*), count(corrects) FROM call").fetchone()
        database.execute("DELETE FROM change WHERE number = 2")
    assert sorted(kinds[:2]) == ["CALL", "CALL"]
    assert kinds[2:] == ["COMPLETION", "CORRECTION"]
    assert calls == (3, 1)
    assert consume(service, key, copy, "--compare").returncode == 1  # one is missing now


def test_the_cost_report_compares_two_times(service: RunningService) -> None:
    """Exact sums by model, of the last days and of those before, and the error's code where the key may not ask."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spent = {"currency": "USD", "account": "reporting"}
    calls = [
        call("r1", started_at=(today - timedelta(days=1)).isoformat(), model="large", amount="0.1", **spent),
        call("r2", started_at=(today - timedelta(days=2)).isoformat(), model="large", amount="0.2", **spent),
        call("r3", started_at=(today - timedelta(days=3)).isoformat(), model="large", amount="5", **spent),
        call("r4", started_at=(today - timedelta(days=1)).isoformat(), model="small", amount="0.01", **spent),
        call("r5", started_at=today.isoformat(), model="large", amount="7", **spent),
    ]
    service.report(service.admin_key, *calls)
    done = cost_report(service, service.new_key("viewer", "reporting"))
    refused = cost_report(service, service.new_key("auditor"))

    assert (done.returncode, done.stdout) == (0, "large\t0.3\t5\tUSD\nsmall\t0.01\t0\tUSD\n"), done.stderr
    assert refused.returncode == 1
    assert refused.stderr.startswith("FORBIDDEN: ")


def cost_report(service: RunningService, key: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, EXAMPLES / "cost_report.py", service.url, "--days", "2"],
        env={**os.environ, "CALLEDGER_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until_changes(service: RunningService, key: str, copy: Path, count: int) -> "subprocess.CompletedProcess[str]":
    """Run the consumer until its copy has so many changes."""
    for _ in range(60):
        done = consume(service, key, copy)
        assert done.returncode == 0, done.stderr
        with sqlite3.connect(copy) as database:
            if database.execute("SELECT count(*) FROM change").fetchone()[0] >= count:
                return done
    raise AssertionError("the changes did not come")
