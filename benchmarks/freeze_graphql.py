"""What others wait while one partner sends the worst GraphQL requests: documents and variables as large as may be.

Another client reports calls, asks for pages and for `/healthz`, first alone and then beside each kind of request, sent
by two connections as fast as they are answered. What others wait is the p99 of what it is beside the worst kind.
"""

import http.client
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.bars import Figure, conclude
from benchmarks.calledger import Calledger
from benchmarks.options import parser
from benchmarks.places import say
from benchmarks.processes import machine

CALLS: Final = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
THIRTY: Final = (
    "query($f: CallFilter) {" + " ".join(f"a{n}: calls(filter: $f) {{ totalCount }}" for n in range(30)) + "}"
)
PAGE: Final = "{ calls(first: 50) { nodes { id startedAt model provider status inputTokens outputTokens latencyMs } } }"
REQUESTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a megabyte of objects": (CALLS, {"f": {"or": [{}] * 250_000}}),
    "objects": (CALLS, {"f": {"or": [{}] * 240}}),
    "values": (CALLS, {"f": {"or": [{"model": {"in": [f"m{n}" for n in range(1_000)]}}] * 11}}),
    "one filter thirty times": (THIRTY, {"f": {"or": [{"model": {"eq": "x"}}] * 15}}),
    "one text": (CALLS, {"f": {"model": {"eq": "x" * 1_000_000}}}),
    "the same field": ("{" + "viewer{role}" * 490 + "}", {}),
    "the same field, as often as may be": ("{" + "viewer{role}" * 75 + "}", {}),
    "mistakes": ("{calls(filter: {" + "a: 1 " * 600 + "}) {totalCount}}", {}),
    "an account that nobody has": (CALLS, {"f": {"account": {"eq": "nope"}}}),
}
_PAUSE_S: Final = 0.01
_SENDERS: Final = 2


def _post(connection: http.client.HTTPConnection, path: str, key: str, body: bytes) -> None:
    connection.request("POST", path, body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    connection.getresponse().read()


def send(address: str, key: str, query: str, variables: dict[str, Any], seconds: float, fresh: bool) -> None:
    """One request after the other for so long. `fresh`: each with a document that was not met before."""
    connection, end = http.client.HTTPConnection(address), time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        asked = f"{query} # {number}" if fresh else query
        _post(connection, "/graphql", key, json.dumps({"query": asked, "variables": variables}).encode())


def _call(number: int) -> bytes:
    moment = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    return json.dumps({"id": f"c{number}-{time.monotonic_ns()}", "started_at": moment, "model": "m",
                       "status": "succeeded", "account": "acme"}).encode()  # fmt: skip


def waits(address: str, viewer: str, ingest: str, seconds: float) -> list[float]:
    """Milliseconds of everything that others asked for meanwhile."""
    page = json.dumps({"query": PAGE}).encode()
    found: list[float] = []

    def client(ask: Callable[[http.client.HTTPConnection], None]) -> None:
        connection, end = http.client.HTTPConnection(address), time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            ask(connection)
            found.append(1_000 * (time.perf_counter() - began))
            time.sleep(_PAUSE_S)

    def healthz(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/healthz")
        connection.getresponse().read()

    asked: list[Callable[[http.client.HTTPConnection], None]] = [
        healthz,
        lambda connection: _post(connection, "/graphql", viewer, page),
        lambda connection: _post(connection, "/v1/calls", ingest, _call(len(found))),
    ]
    clients = [threading.Thread(target=client, args=(ask,)) for ask in asked]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return found


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__).parse_args(arguments)
    seconds = 1.5 if chosen.quick else 5.0
    say(machine())
    with tempfile.TemporaryDirectory() as folder, Calledger(Path(folder) / "data") as house:
        address, ingest, viewer = urlsplit(house.url).netloc, house.new_key("ingest"), house.new_key("viewer")
        waits(address, viewer, ingest, 2.0)
        partner = house.new_key("partner", "acme")
        alone = _p99(waits(address, viewer, ingest, seconds))
        print(f"alone: p99 {alone:.1f} ms")
        beside: dict[str, float] = {}
        for name, (query, variables) in REQUESTS.items():
            senders = [
                multiprocessing.Process(target=send, args=(address, partner, query, variables, seconds, not variables))
                for _ in range(_SENDERS)
            ]
            for sender in senders:
                sender.start()
            beside[name] = _p99(waits(address, viewer, ingest, seconds))
            for sender in senders:
                sender.join()
            print(f"beside {name}: p99 {beside[name]:.1f} ms", flush=True)
    worst = max(beside, key=lambda name: beside[name])
    found = [Figure("freeze/graphql", beside[worst], f"{worst}; alone {alone:.1f} ms")]
    return conclude(found, {"alone": alone, "beside": beside}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
