"""The change feed while calls come in: its lag, and what five hundred subscribers cost ingest.

Each round reports the same number of calls alone, beside a consumer that follows `changes`, and beside subscribers of
`callRecorded`. The feed's own lag (commit to readable) is what `/metrics` says; the consumer's is from a call's
`recordedAt` to its receipt, on the same clock. Listeners are a process of their own.
"""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.load import Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import FOLDER, ROOT, say
from benchmarks.harness.processes import cpu_seconds, machine

BODY_ROWS: Final = 500
SUBSCRIBERS: Final = 500
PER_SOCKET: Final = 5
DIFFERENT: Final = 10
"""Subscriptions that differ; each is asked for by fifty."""
_CHANGES: Final = (
    "query($after: String) { changes(first: 200, after: $after) "
    "{ nodes { kind call { id recordedAt } } pageInfo { endCursor hasNextPage } } }"
)
_RECORDED: Final = (
    "subscription($account: String) { callRecorded(filter: {account: {eq: $account}, status: {eq: FAILED}}) "
    "{ id recordedAt model errorType } }"
)


def _lag(recorded_at: str) -> float:
    return time.time() - datetime.fromisoformat(recorded_at).timestamp()


async def _consume(url: str, key: str) -> dict[str, Any]:
    """Follow `changes` from its end on, until standard input ends."""
    headers = {"Authorization": f"Bearer {key}"}
    ended, lags, after, caught_up = _input_ended(), list[float](), None, False
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            body = {"query": _CHANGES, "variables": {"after": after}}
            async with session.post(f"{url}/graphql", json=body) as answer:
                changes = (await answer.json())["data"]["changes"]
            after = changes["pageInfo"]["endCursor"]
            if caught_up:
                lags += [_lag(node["call"]["recordedAt"]) for node in changes["nodes"]]
            if not changes["pageInfo"]["hasNextPage"]:
                if not caught_up:
                    caught_up = True
                    print("ready", flush=True)
                elif ended.done():
                    return {"received": len(lags), "lags": lags}
                await asyncio.sleep(0.05)


def _input_ended() -> "asyncio.Future[None]":
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=wait, daemon=True).start()
    return ended


async def _listen(url: str, key: str, accounts: Sequence[str]) -> dict[str, Any]:
    """Five hundred subscriptions on a hundred sockets, until standard input ends."""
    ended, lags = _input_ended(), list[float]()
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        sockets = []
        for number in range(SUBSCRIBERS // PER_SOCKET):
            socket = await session.ws_connect(f"{url}/graphql", protocols=("graphql-transport-ws",))
            await socket.send_json({"type": "connection_init"})
            await socket.receive_json()
            for place in range(PER_SOCKET):
                account = accounts[(number * PER_SOCKET + place) % len(accounts)]
                payload = {"query": _RECORDED, "variables": {"account": account}}
                await socket.send_json({"id": str(place), "type": "subscribe", "payload": payload})
            sockets.append(socket)

        async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
            async for message in socket:
                value = json.loads(message.data)
                if value["type"] != "next":
                    raise SystemExit(f"a stream has ended: {value}")
                lags.append(_lag(value["payload"]["data"]["callRecorded"]["recordedAt"]))

        readers = [asyncio.create_task(read(socket)) for socket in sockets]
        await asyncio.sleep(2)
        print("ready", flush=True)
        await ended
        await asyncio.sleep(2)
        for reader in readers:
            reader.cancel()
    return {"received": len(lags), "lags": lags}


class Beside:
    """A process that listens during the block; afterwards `found` is what it has seen."""

    def __init__(self, mode: str, calledger: Calledger, key: str, accounts: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "benchmarks.ingest.feed", f"--{mode}", calledger.url, key, *accounts]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.found: dict[str, Any] = {}

    def __enter__(self) -> "Beside":
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self.found = json.loads(self._process.stdout.read())
        self._process.wait()


class Lag(threading.Thread):
    """Asks `/metrics` for the feed's own lag, ten times per second, until stopped."""

    def __init__(self, calledger: Calledger) -> None:
        super().__init__(daemon=True)
        self._url, self.seen, self.stopped = f"{calledger.url}/metrics", list[float](), threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.1):
            text = urllib.request.urlopen(self._url).read().decode()
            found = re.search(r"^calledger_feed_lag_seconds (\S+)$", text, re.MULTILINE)
            self.seen += [float(found[1])] if found else []


def _report(calledger: Calledger, key: str, rows: int, seed: int) -> tuple[float, float]:
    """Report so many calls; rows per second, and CPU of service and database per row in microseconds."""
    lines = [json.dumps(call, separators=(",", ":")) for call in sample.native_calls(rows, seed)]
    bodies = ["\n".join(lines[at : at + BODY_ROWS]).encode() for at in range(0, len(lines), BODY_ROWS)]
    headers = {"Authorization": f"Bearer {key}"}
    plan = Plan(calledger.url, [request(calledger.url, "/v1/calls", body, headers) for body in bodies], 4, None)
    cpu = cpu_seconds(calledger.pid)
    outcome = Running(plan).outcome()
    if outcome.failed:
        raise SystemExit(f"reports were refused: {outcome.first_failure}")
    return rows / outcome.seconds, (cpu_seconds(calledger.pid) - cpu) / rows * 1e6


def _quantiles(lags: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(lags) or [0.0]
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, default=FOLDER / "feed", help="the ledger's folder; emptied first")
    chosen = options.parse_args(arguments)
    rounds, rows = (2, 10_000) if chosen.quick else (5, 40_000)
    say(machine())
    shutil.rmtree(chosen.data, ignore_errors=True)
    rates: dict[str, list[float]] = {"alone": [], "consumer": [], "subscribers": []}
    cpus: dict[str, list[float]] = {name: [] for name in rates}
    lags: dict[str, list[float]] = {"feed": [], "consumer": [], "subscribers": []}
    with Calledger(chosen.data, environment={"CALLEDGER_STREAMS_PER_KEY": "1000"}) as calledger:
        ingest, viewer, seed = calledger.new_key("ingest"), calledger.new_key("viewer"), int(time.time())
        _report(calledger, ingest, 2_000, seed)
        accounts = sorted({call["account"] for call in sample.native_calls(2_000, seed)})[:DIFFERENT]
        received = 0
        for number in range(rounds):
            for place, mode in enumerate(rates):
                mark = seed + 1 + number * 3 + place
                meter = Lag(calledger)
                if mode == "alone":
                    meter.start()
                    rate, cpu = _report(calledger, ingest, rows, mark)
                    meter.stopped.set()
                    meter.join()
                    lags["feed"] += meter.seen
                else:
                    with Beside("consume" if mode == "consumer" else "listen", calledger, viewer, accounts) as beside:
                        rate, cpu = _report(calledger, ingest, rows, mark)
                    lags[mode] += beside.found["lags"]
                    if mode == "consumer" and beside.found["received"] != rows:
                        raise SystemExit(f"the consumer received {beside.found['received']} of {rows}")
                    received += beside.found["received"] if mode == "subscribers" else 0
                rates[mode].append(rate)
                cpus[mode].append(cpu)
            say(f"  round {number + 1} of {rounds}")
    print(f"{'ingest':14} {'rows/s':>8} {'CPU us a row':>13}   {'lag p50':>8} {'p99':>8}")
    for mode, found in rates.items():
        p50, p99 = _quantiles(lags["feed" if mode == "alone" else mode])
        name = f"{statistics.median(found):8.0f} {statistics.median(cpus[mode]):13.1f}"
        print(f"{mode:14} {name}   {p50:7.2f}s {p99:7.2f}s")
    kept = statistics.median(one / two for one, two in zip(rates["subscribers"], rates["alone"], strict=True))
    note = f"at {statistics.median(rates['alone']):,.0f} calls/s; commit to readable, p99"
    figures = [
        Figure("feed/lag", _quantiles(lags["feed"])[1], note),
        Figure("feed/consumer", _quantiles(lags["consumer"])[1], "a consumer that follows `changes`, p99; none missed"),
        Figure("feed/subscribers", kept, f"{SUBSCRIBERS} subscribers, {DIFFERENT} different; {received:,} messages"),
    ]
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    return conclude(figures, {"at": taken, "rates": rates, "cpu_us": cpus}, chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--consume"]:
        print(json.dumps(asyncio.run(_consume(sys.argv[2], sys.argv[3]))))
    elif sys.argv[1:2] == ["--listen"]:
        print(json.dumps(asyncio.run(_listen(sys.argv[2], sys.argv[3], sys.argv[4:]))))
    else:
        raise SystemExit(main())
