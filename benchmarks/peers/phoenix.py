"""Arize Phoenix, the nearest peer, from PyPI with its own defaults (SQLite): ingest, a summary, and disk.

The same calls: to Phoenix as spans of OTLP over HTTP, until its database has them all (it answers before it has stored
them); to Calledger as NDJSON, until it has answered, which is when they are on disk. The summary is the tokens, the
money and the median latency of everything, by GraphQL from both.
"""

import base64
import json
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.harness.calledger import Calledger, ask
from benchmarks.harness.load import Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import FOLDER, ROOT, environment, say
from benchmarks.harness.processes import cpu_seconds, machine

_PACKAGE: Final = "arize-phoenix==20.26.1"
_START_S: Final = 180
_CONNECTIONS: Final = 2
_BODY_ROWS: Final = 500
_COUNT: Final = "{ projects { edges { node { recordCount } } } }"
_SUMMARY: Final = """{ projects { edges { node {
  recordCount tokenCountTotal tokenCountPrompt costSummary { total { cost } } latencyMsQuantile(probability: 0.5)
} } } }"""
_OUR_SUMMARY: Final = "{ costs { totals { calls inputTokens outputTokens amount { amount } latencyMs { p50 } } } }"


@dataclass(frozen=True, slots=True)
class Phoenix:
    url: str
    pid: int
    folder: Path

    def graphql(self, query: str) -> list[Mapping[str, Any]]:
        """Each project's fields."""
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.url}/graphql", json.dumps({"query": query}).encode(), headers)
        with urllib.request.urlopen(asked, timeout=120) as answer:
            found = json.loads(answer.read())
        if found.get("errors"):
            raise SystemExit(f"Phoenix refused the query: {found['errors']}")
        return [edge["node"] for edge in found["data"]["projects"]["edges"]]

    def stored(self) -> int:
        return sum(project["recordCount"] for project in self.graphql(_COUNT))

    def disk_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("phoenix.db*"))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def phoenix() -> Iterator[Phoenix]:
    """Phoenix over an empty folder."""
    program = environment("phoenix", _PACKAGE).with_name("phoenix")
    folder, port = FOLDER / "phoenix", _free_port()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = {"PHOENIX_WORKING_DIR": str(folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port)}
    quiet = {"PHOENIX_GRPC_PORT": str(_free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"}
    with (FOLDER / "phoenix.log").open("wb") as log:
        process = subprocess.Popen([program, "serve"], env={**os.environ, **place, **quiet}, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(lambda: urllib.request.urlopen(f"{url}/healthz", timeout=5).close(), process)
        yield Phoenix(url, process.pid, folder)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _await(answers: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answers()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise SystemExit(f"Phoenix did not start: {(FOLDER / 'phoenix.log').read_text()[-2000:]}")


def _spans(calls: Sequence[Mapping[str, Any]]) -> list[bytes]:
    python = environment("phoenix", _PACKAGE)
    lines = "\n".join(json.dumps(call) for call in calls)
    script = ROOT / "benchmarks" / "peers" / "phoenix_spans.py"
    done = subprocess.run([python, script], input=lines, capture_output=True, text=True, check=True)
    return [base64.b64decode(line) for line in done.stdout.split()]


def _to_phoenix(peer: Phoenix, calls: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Rows a second until stored, and CPU microseconds a row."""
    headers = {"Content-Type": "application/x-protobuf"}
    wires = [request(peer.url, "/v1/traces", body, headers) for body in _spans(calls)]
    before, cpu = peer.stored(), cpu_seconds(peer.pid)
    running = Running(Plan(peer.url, wires, _CONNECTIONS, None))
    outcome = running.outcome()
    if outcome.failed:
        raise SystemExit(f"Phoenix refused spans: {outcome.first_failure}")
    while peer.stored() - before < len(calls):
        time.sleep(0.1)
    seconds = time.monotonic() - running.began
    return len(calls) / seconds, (cpu_seconds(peer.pid) - cpu) / len(calls) * 1e6


def _to_calledger(calledger: Calledger, key: str, calls: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    lines = [json.dumps(call) for call in calls]
    bodies = ["\n".join(lines[at : at + _BODY_ROWS]).encode() for at in range(0, len(lines), _BODY_ROWS)]
    wires = [request(calledger.url, "/v1/calls", body, {"Authorization": f"Bearer {key}"}) for body in bodies]
    cpu = cpu_seconds(calledger.pid)
    outcome = Running(Plan(calledger.url, wires, _CONNECTIONS, None)).outcome()
    if outcome.failed:
        raise SystemExit(f"reports were refused: {outcome.first_failure}")
    return len(calls) / outcome.seconds, (cpu_seconds(calledger.pid) - cpu) / len(calls) * 1e6


def _timed_ms(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__).parse_args(arguments)
    rounds, rows = (2, 2_000) if chosen.quick else (2, 5_000)
    say(machine())
    folder = FOLDER / "beside-phoenix"
    shutil.rmtree(folder, ignore_errors=True)
    with phoenix() as peer, Calledger(folder) as calledger:
        admin = calledger.admin_key
        ours, theirs, our_ms, their_ms = [], [], [], []
        for number in range(rounds + 1):
            calls = list(sample.native_calls(rows, number))
            ours.append(_to_calledger(calledger, admin, calls))
            theirs.append(_to_phoenix(peer, calls))
            our_ms.append(_timed_ms(lambda: ask(calledger.url, admin, _OUR_SUMMARY)))
            their_ms.append(_timed_ms(lambda: peer.graphql(_SUMMARY)))
            say(f"  round {number} of {rounds}{' (to warm up)' if not number else ''}")
        disk = peer.disk_bytes() / (rows * (rounds + 1))
    shutil.rmtree(folder, ignore_errors=True)
    median = statistics.median
    for name, taken, waits in (("Calledger", ours, our_ms), ("Arize Phoenix", theirs, their_ms)):
        rate, cpu = (median(one[at] for one in taken[1:]) for at in (0, 1))
        print(f"{name:14} {rate:8.0f} rows/s {cpu:8.0f} us CPU a row {median(waits[1:]):8.1f} ms a summary")
    print(f"Phoenix keeps {disk:.0f} bytes a call on disk")
    pairs = list(zip(ours[1:], theirs[1:], strict=True))
    note = f"{rows * (rounds + 1):,} calls; by CPU {median(their[1] / our[1] for our, their in pairs):.1f}"
    found = [
        Figure("phoenix/ingest", median(our[0] / their[0] for our, their in pairs), note),
        Figure("phoenix/summary", median(b / a for a, b in zip(our_ms[1:], their_ms[1:], strict=True)), ""),
    ]
    details = {"ours": ours, "theirs": theirs, "our_ms": our_ms, "their_ms": their_ms, "their_bytes_a_call": disk}
    return conclude(found, details, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
