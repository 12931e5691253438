"""Several processes behind one port are one service: one budget a key, and one set of figures."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import RunningService

WORKERS = 2
BUDGET = 3_000
QUERY = "{ %s }" % " ".join(f"a{n}: calls(first: 1) {{ totalCount }}" for n in range(5))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    data = tmp_path_factory.mktemp("workers") / "data"
    environment = {"CALLEDGER_RATE_LIMIT_PER_MINUTE": str(BUDGET)}
    service = RunningService(data, "--workers", str(WORKERS), environment=environment)
    try:
        yield service
    finally:
        service.stop()


def test_a_key_has_one_budget(service: RunningService) -> None:
    """What one process has answered another does not answer again: together they give what a minute restores."""
    key, began = service.new_key("viewer"), time.monotonic()
    answers = [service.ask(key, QUERY) for _ in range(40)]
    spent = sum(a["extensions"]["cost"]["actualQueryCost"] for a in answers if "errors" not in a)
    refused = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert refused
    assert set(refused) == {"THROTTLED"}
    assert BUDGET * 0.8 < spent <= BUDGET * (1 + (time.monotonic() - began) / 60) + 1
    assert "errors" not in service.ask(service.new_key("viewer"), QUERY), "another key has a budget of its own"


def test_metrics_do_not_jump(service: RunningService) -> None:
    """Whichever process is asked tells of all of them: what was counted stays, and adds up."""
    key = service.new_key("ingest")
    call = {"model": "m", "status": "succeeded", "account": "acme"}
    before = service.figure("calledger_ingest_rows_total")
    asked = service.figure("calledger_graphql_seconds_count")
    for number in range(20):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        service.report(key, {**call, "id": f"w{number}", "started_at": moment})
        service.ask(service.admin_key, "{ viewer { role } }")
    rows = {service.figure("calledger_ingest_rows_total") for _ in range(20)}
    operations = {service.figure("calledger_graphql_seconds_count") for _ in range(20)}
    assert rows == {before + 20}
    assert operations == {asked + 20}
    assert service.figure("calledger_ingest_batch_rows_count") >= 20


def test_each_worker_says_what_it_takes(service: RunningService) -> None:
    """Memory, CPU time, open files and the start of every worker, whichever of them is asked."""
    for _ in range(10):
        found = re.findall(r'^calledger_process_(\w+){pid="(\d+)"} (\S+)$', service.metrics(), re.MULTILINE)
        by_name: dict[str, dict[str, float]] = {}
        for name, pid, value in found:
            by_name.setdefault(name, {})[pid] = float(value)
        assert by_name.keys() == {"cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"}
        assert {len(figures) for figures in by_name.values()} == {WORKERS}
    for pid, started_at in by_name["start_time_seconds"].items():
        assert 0 < time.time() - started_at < 600
        assert 2**24 < by_name["resident_memory_bytes"][pid] < 2**31
        assert by_name["open_fds"][pid] > 5
        assert by_name["cpu_seconds_total"][pid] > 0.1
        assert f"PPid:\t{service.process.pid}\n" in Path(f"/proc/{pid}/status").read_text()
