"""What was acknowledged is on disk, and counted once, whoever is killed when."""

import json
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
from reporting import AMOUNT, Reporter, postmaster
from running import RunningService

TOTALS = "{ costs { totals { calls amount { amount } } } calls(first: 1) { totalCount } }"


@pytest.fixture
def service(tmp_path: Path):
    running = RunningService(tmp_path / "data")
    yield running
    if running.process.poll() is None:
        running.stop()


def await_acknowledged(reporters: list[Reporter], calls: int) -> None:
    """Return once so many more calls have been acknowledged; fail after a minute."""
    wanted = sum(len(reporter.acknowledged) for reporter in reporters) + calls
    deadline = time.monotonic() + 60
    while sum(len(reporter.acknowledged) for reporter in reporters) < wanted:
        assert time.monotonic() < deadline, [reporter.problems for reporter in reporters]
        time.sleep(0.01)


@pytest.mark.parametrize("victim", ["service", pytest.param("database", marks=pytest.mark.embedded("ends it"))])
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
