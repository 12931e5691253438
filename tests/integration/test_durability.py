"""What was acknowledged is on disk, and counted once, whoever is killed when."""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from running import RunningService

AMOUNT = Decimal("0.000000000001")
TOTALS = "{ costs { totals { calls amount { amount } } } calls(first: 1) { totalCount } }"


class Reporter(threading.Thread):
    """Reports batches of calls, and again whenever it got no answer, as a gateway does."""

    def __init__(self, service: RunningService, key: str, name: str) -> None:
        super().__init__(daemon=True)
        self.service, self.key, self.prefix = service, key, name
        self.acknowledged: set[str] = set()
        self.stopped = threading.Event()
        self.problems: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            ids = [f"{self.prefix}-{number}-{row}" for row in range(20)]
            number += 1
            started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.report_until_answered(ids, started_at)

    def report_until_answered(self, ids: list[str], started_at: str) -> None:
        calls = [
            {
                "id": call_id,
                "started_at": started_at,
                "model": "m",
                "status": "succeeded",
                "amount": str(AMOUNT),
                "currency": "USD",
            }
            for call_id in ids
        ]
        while not self.stopped.is_set():
            try:
                status, _, body = self.service.request(
                    "POST", "/v1/calls", key=self.key, body=json.dumps(calls).encode()
                )
            except OSError:  # the service is gone: nothing was acknowledged
                time.sleep(0.05)
                continue
            if status == 503:
                time.sleep(0.05)
                continue
            answer = json.loads(body)
            if status != 200 or answer["accepted"] + answer["duplicates"] != len(ids):
                self.problems.append(f"{status} {body[:200]!r}")
            self.acknowledged.update(ids)
            return


@pytest.fixture
def service(tmp_path: Path):
    running = RunningService(tmp_path / "data")
    yield running
    if running.process.poll() is None:
        running.stop()


def postmaster(service: RunningService) -> int:
    return int((next(service.data.rglob("postmaster.pid"))).read_text().split()[0])


def await_acknowledged(reporters: list[Reporter], calls: int) -> None:
    """Return once so many more calls have been acknowledged; fail after a minute."""
    wanted = sum(len(reporter.acknowledged) for reporter in reporters) + calls
    deadline = time.monotonic() + 60
    while sum(len(reporter.acknowledged) for reporter in reporters) < wanted:
        assert time.monotonic() < deadline, [reporter.problems for reporter in reporters]
        time.sleep(0.01)


@pytest.mark.parametrize("victim", ["service", "database"])
def test_nothing_acknowledged_is_lost_and_nothing_counted_twice(service: RunningService, victim: str) -> None:
    """Three kills -9 under load: every acknowledged call is there, none twice, and the sums are the calls' own."""
    key = service.new_key("ingest")
    reporters = [Reporter(service, key, f"r{number}") for number in range(4)]
    for reporter in reporters:
        reporter.start()
    for calls in (100, 300, 20):
        await_acknowledged(reporters, calls)
        if victim == "service":
            service.kill()
            service.start()
        else:
            os.kill(postmaster(service), signal.SIGKILL)
    await_acknowledged(reporters, 200)
    for reporter in reporters:
        reporter.stopped.set()
    for reporter in reporters:
        reporter.join(60)
    acknowledged = set().union(*(reporter.acknowledged for reporter in reporters))

    assert [problem for reporter in reporters for problem in reporter.problems] == []
    assert len(acknowledged) > 100
    lines = service.command("export", "calls").stdout.splitlines()
    stored = [json.loads(line)["sourceId"] for line in lines]
    assert len(stored) == len(set(stored)), "a call was stored twice"
    assert acknowledged <= set(stored), "an acknowledged call is lost"
    # What is stored and was never acknowledged was cut off between commit and answer, and is counted all the same.
    answer = service.ask(service.admin_key, TOTALS)["data"]
    assert answer["calls"]["totalCount"] == len(stored)
    assert Decimal(answer["costs"]["totals"][0]["amount"]["amount"]) == AMOUNT * len(stored)
    done = service.command("fsck")
    assert done.returncode == 0, done.stdout + done.stderr
