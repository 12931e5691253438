"""Durable ingest over HTTP, beside COPY to a temporary table + ON CONFLICT of the same rows by asyncpg alone.

Calledger takes NDJSON with a key, admits each call by the policy, scrubs and seals errors, finds duplicates, appends
to the rollups and commits before it answers. The rival is handed ready tuples and does nothing but store them in a
plain table with a primary key and an index, 5,000 a transaction. One reporter against one connection, two against
two; the same PostgreSQL, the same durability, contenders interleaved in rounds.
"""

import asyncio
import json
import pickle
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill, sample
from benchmarks.harness import profile
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.load import Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import FOLDER, ROOT, say
from benchmarks.harness.processes import cpu_seconds, machine

BODY_ROWS: Final = 500
IN_FLIGHT: Final = 4
"""Requests that one reporter has under way."""
COPY_ROWS: Final = 5_000
HTTP: Final = "Calledger over HTTP"
COPY: Final = "COPY + ON CONFLICT"

_COLUMNS: Final = (
    "id", "account", "started_at", "source_id", "api_key", "user_name", "model", "served_model", "provider",
    "operation", "failed", "streamed", "input_tokens", "output_tokens", "cache_read_tokens", "amount", "currency",
    "latency_ms", "time_to_first_token_ms", "tags", "error_type", "error_code", "error_message", "error_parameters",
)  # fmt: skip
_TABLE: Final = """
    id uuid NOT NULL, account text NOT NULL, started_at timestamptz NOT NULL, source_id text NOT NULL, api_key text,
    user_name text, model text NOT NULL, served_model text, provider text, operation text, failed boolean NOT NULL,
    streamed boolean, input_tokens integer, output_tokens integer, cache_read_tokens integer, amount numeric,
    currency text, latency_ms integer, time_to_first_token_ms integer, tags jsonb, error_type text, error_code text,
    error_message text, error_parameters jsonb
"""
_PREPARE: Final = f"""
    CREATE SCHEMA IF NOT EXISTS peers;
    DROP TABLE IF EXISTS peers.ingested;
    CREATE TABLE peers.ingested ({_TABLE}, PRIMARY KEY (id));
    CREATE INDEX ON peers.ingested (account, started_at DESC);
"""
_STAGE: Final = f"CREATE TEMPORARY TABLE staged ({_TABLE}) ON COMMIT DELETE ROWS"
_STORE: Final = "INSERT INTO peers.ingested SELECT * FROM staged ON CONFLICT DO NOTHING"


@dataclass(slots=True)
class Samples:
    """Rounds of one contender: rows a second, and CPU a row of the client, the service and the database."""

    rates: list[float] = field(default_factory=list)
    service_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)


def _tuple(call: dict[str, Any]) -> tuple[Any, ...]:
    error = call.get("error") or {}
    return (
        uuid4(), call["account"], datetime.fromisoformat(call["started_at"]), call["id"], call["api_key"],
        call["user"], call["model"], call["served_model"], call["provider"], call["operation"],
        call["status"] == "failed", call["streamed"], call["input_tokens"], call["output_tokens"],
        call["cache_read_tokens"], Decimal(call["amount"]), call["currency"], call["latency_ms"],
        call.get("time_to_first_token_ms"), json.dumps(call["tags"]) if "tags" in call else None, error.get("type"),
        error.get("code"), error.get("message"), json.dumps(error["parameters"]) if error else None,
    )  # fmt: skip


def bodies(calls: Sequence[dict[str, Any]]) -> list[bytes]:
    lines = [json.dumps(call, separators=(",", ":")) for call in calls]
    return ["\n".join(lines[at : at + BODY_ROWS]).encode() for at in range(0, len(lines), BODY_ROWS)]


class Round:
    """The same calls for both, of each reporter its own; made before anything is timed."""

    def __init__(self, calledger: Calledger, key: str, reporters: int, rows: int, seed: int) -> None:
        self._calledger, self._rows = calledger, rows
        shares = [list(sample.native_calls(rows // reporters, seed * 100 + number)) for number in range(reporters)]
        headers = {"Authorization": f"Bearer {key}"}
        wires = [[request(calledger.url, "/v1/calls", body, headers) for body in bodies(share)] for share in shares]
        self._plans = [Plan(calledger.url, each, IN_FLIGHT, None) for each in wires]
        self._tuples = [[_tuple(call) for call in share] for share in shares]

    def over_http(self, taken: Samples) -> None:
        service, database = cpu_seconds(self._calledger.pid), cpu_seconds(self._calledger.postmaster)
        reporters = [Running(plan) for plan in self._plans]
        outcomes = [reporter.outcome() for reporter in reporters]
        self._note(taken, max(outcome.seconds for outcome in outcomes), service, database)
        failed = [outcome.first_failure for outcome in outcomes if outcome.failed]
        if failed:
            raise SystemExit(f"reports were refused: {failed[0]}")

    def by_copy(self, taken: Samples) -> None:
        database = cpu_seconds(self._calledger.postmaster)
        copiers = [_Copier(self._calledger.database_url, rows) for rows in self._tuples]
        seconds, client = (max(figures) for figures in zip(*(copier.seconds() for copier in copiers), strict=True))
        taken.rates.append(self._rows / seconds)
        taken.service_us.append(client * len(copiers) / self._rows * 1e6)
        taken.database_us.append((cpu_seconds(self._calledger.postmaster) - database) / self._rows * 1e6)

    def _note(self, taken: Samples, seconds: float, service: float, database: float) -> None:
        database_now = cpu_seconds(self._calledger.postmaster)
        taken.rates.append(self._rows / seconds)
        # The embedded database is a child of the service.
        own = cpu_seconds(self._calledger.pid) - service - (database_now - database)
        taken.service_us.append(own / self._rows * 1e6)
        taken.database_us.append((database_now - database) / self._rows * 1e6)


class _Copier:
    """A process that copies rows over one connection."""

    def __init__(self, url: str, rows: list[tuple[Any, ...]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ingest.ingest", "--copy"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._process.stdin.write(pickle.dumps((url, rows)))
        self._process.stdin.flush()
        self._process.stdout.readline()
        self._process.stdin.write(b"\n")
        self._process.stdin.close()

    def seconds(self) -> tuple[float, float]:
        """Wall and CPU of the copying."""
        wall, cpu = map(float, self._process.stdout.read().split())
        self._process.wait()
        return wall, cpu


async def _copy() -> None:
    url, rows = pickle.load(sys.stdin.buffer)
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "on", "jit": "off"})
    await connection.execute(_STAGE)
    print("begun", flush=True)
    sys.stdin.buffer.readline()
    begin, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(rows), COPY_ROWS):
        async with connection.transaction():
            await connection.copy_records_to_table("staged", records=rows[at : at + COPY_ROWS], columns=_COLUMNS)
            await connection.execute(_STORE)
    print(time.perf_counter() - begin, time.process_time() - cpu, flush=True)
    await connection.close()


async def _prepare(calledger: Calledger) -> int:
    owner = await fill.connect(calledger)
    await owner.execute(_PREPARE)
    stored = await owner.fetchval("SELECT count(*) FROM call")
    await owner.close()
    return stored


async def _stored(calledger: Calledger) -> tuple[int, int]:
    owner = await fill.connect(calledger)
    calls = await owner.fetchval("SELECT count(*) FROM call")
    copied = await owner.fetchval("SELECT count(*) FROM peers.ingested")
    await owner.close()
    return calls, copied


def show(samples: dict[tuple[str, int], Samples]) -> None:
    print(f"{'':34} {'rows/s':>8} {'spread':>7} {'client or service us':>21} {'database us':>12}   (CPU a row)")
    median = statistics.median
    for (name, reporters), taken in samples.items():
        spread = (max(taken.rates) - min(taken.rates)) / median(taken.rates)
        label = f"{name}, {reporters} at once"
        print(
            f"{label:34} {median(taken.rates):8.0f} {spread:7.0%} {median(taken.service_us):21.1f} "
            f"{median(taken.database_us):12.1f}"
        )


def ratio(samples: dict[tuple[str, int], Samples], reporters: int) -> float:
    pairs = zip(samples[HTTP, reporters].rates, samples[COPY, reporters].rates, strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def cpu_ratio(samples: dict[tuple[str, int], Samples], reporters: int) -> float:
    """CPU a row of the rival by ours, all processes: what a busy machine bends least."""
    ours, theirs = (
        statistics.median(map(sum, zip(taken.service_us, taken.database_us, strict=True)))
        for taken in (samples[HTTP, reporters], samples[COPY, reporters])
    )
    return theirs / ours


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--workers", type=int, default=1, help="processes of the service (default 1)")
    options.add_argument("--profile", action="store_true", help="only say where Calledger's time goes, by py-spy")
    options.add_argument("--data", type=Path, default=FOLDER / "ingest", help="the ledger's folder; emptied first")
    chosen = options.parse_args(arguments)
    rounds, rows = (3, 10_000) if chosen.quick else (7, 60_000)
    say(machine())
    run_id = int(time.time())
    shutil.rmtree(chosen.data, ignore_errors=True)
    with Calledger(chosen.data, "--workers", str(chosen.workers)) as calledger:
        key = calledger.new_key("ingest")
        before = asyncio.run(_prepare(calledger))
        Round(calledger, key, 1, 2_000, run_id).over_http(Samples())  # accounts, partitions and keys are made
        if chosen.profile:
            work = Round(calledger, key, 2, 40_000, run_id + 1)
            with profile.recorded(calledger.pid, 10):
                work.over_http(Samples())
            return 0
        samples = {(name, reporters): Samples() for reporters in (1, 2) for name in (HTTP, COPY)}
        sent = 0
        for number in range(rounds):
            for reporters in (1, 2):
                work = Round(calledger, key, reporters, rows, run_id + 2 + number * 2 + reporters)
                work.over_http(samples[HTTP, reporters])
                work.by_copy(samples[COPY, reporters])
                sent += rows
            say(f"  round {number + 1} of {rounds}")
        calls, copied = asyncio.run(_stored(calledger))
        if (calls - before, copied) != (sent + 2_000, sent):
            raise SystemExit(f"{sent} rows were sent to each; stored are {calls - before - 2_000} and {copied}")
    show(samples)
    note = f"1 reporter; {ratio(samples, 2):.2f} with 2; workers: {chosen.workers}; by CPU {cpu_ratio(samples, 1):.2f}"
    details = {f"{name}, {reporters}": asdict(taken) for (name, reporters), taken in samples.items()}
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    return conclude([Figure("ingest/copy", ratio(samples, 1), note)], {"at": taken, "rounds": details}, chosen.json)


if __name__ == "__main__":
    if sys.argv[1:] == ["--copy"]:
        asyncio.run(_copy())
    else:
        raise SystemExit(main())
