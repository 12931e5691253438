"""Costs over 30 days of all accounts: Calledger's GraphQL, beside the raw scan of the same calls in its PostgreSQL,
and, for cost by model, ClickHouse (the `chdb` package) scanning the same rows.

By UTC days, and by local days of Asia/Kolkata (half an hour off every hour). CPU is that of all PostgreSQL processes;
the service's own is shown beside it. Then the same questions at a tenth and three tenths of the calls.
"""

import asyncio
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import asyncpg

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill, sample
from benchmarks.data.questions import MIDNIGHT, QUESTIONS, Question
from benchmarks.harness.calledger import Calledger, ask
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import FOLDER, ROOT, environment, say
from benchmarks.harness.processes import cpu_seconds, machine, own_cpu_seconds

DAYS: Final = 30
_GROWTH_ROUNDS: Final = 3
_RAW_ROUNDS: Final = 3
"""Scans take seconds each, and differ little."""
_CHDB: Final = "chdb==4.4.0"
_CLICKHOUSE_TABLE: Final = """
    CREATE TABLE ledger.calls (
        started_at DateTime64(3, 'UTC'), account_id UInt32, model LowCardinality(String),
        provider LowCardinality(String), api_key LowCardinality(String), failed Bool, currency LowCardinality(String),
        input_tokens UInt32, output_tokens UInt32, amount Decimal(18, 12), latency_ms UInt32
    ) ENGINE = MergeTree ORDER BY started_at
"""
_EXPORTED: Final = """
    SELECT started_at, account_id, model, provider, api_key, failed, currency, input_tokens, output_tokens, amount,
           latency_ms
    FROM call
"""
Sums = dict[str | None, tuple[Any, ...]]


@dataclass(slots=True)
class Times:
    """Seconds, one entry a round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    service_cpu: list[float] = field(default_factory=list)

    @property
    def wall_ms(self) -> float:
        return statistics.median(self.wall) * 1e3

    @property
    def whole_cpu_ms(self) -> float:
        """Of PostgreSQL and the service."""
        return statistics.median(a + b for a, b in zip(self.cpu, self.service_cpu, strict=True)) * 1e3

    def row(self) -> str:
        service = f"{statistics.median(self.service_cpu) * 1e3:>12.2f}" if self.service_cpu else f"{'':12}"
        return f"{self.wall_ms:>10.2f} {statistics.median(self.cpu) * 1e3:>10.2f} {service}"


Taken = dict[tuple[str, str], Times]


def edges(filled: fill.Filled, question: Question) -> tuple[datetime, datetime]:
    """30 days that the calls cover: UTC days, or days of ZONE."""
    begin = filled.first_day + (MIDNIGHT if question.local else timedelta())
    return begin, begin + timedelta(days=DAYS)


def _by_key(rows: Iterator[tuple[str | None, int, int, int, Decimal]]) -> Sums:
    sums: Sums = {}
    for key, *figures in rows:
        had = sums.get(key, (0, 0, 0, Decimal(0)))
        sums[key] = tuple(a + b for a, b in zip(had, figures, strict=True))
    return sums


class Ours:
    """The service, asked by GraphQL `repeats` times a round."""

    def __init__(self, calledger: Calledger, key: str, filled: fill.Filled, repeats: int) -> None:
        self._calledger, self._key, self._filled, self._repeats = calledger, key, filled, repeats

    def ask(self, question: Question) -> list[dict[str, Any]]:
        begin, end = edges(self._filled, question)
        variables = {"from": begin.isoformat(), "to": end.isoformat()}
        report = ask(self._calledger.url, self._key, question.graphql, **variables)["costs"]
        if report["pageInfo"]["hasNextPage"]:
            raise SystemExit("the costs were truncated")
        return report["nodes"]

    def sums(self, question: Question) -> Sums:
        return _by_key(
            (
                question.value(row["key"]),
                int(row["calls"]),
                int(row["inputTokens"]),
                int(row["outputTokens"]),
                Decimal(row["amount"]["amount"]),
            )
            for row in self.ask(question)
        )

    def percentiles(self, question: Question) -> list[tuple[int, ...]]:
        """Calls and percentiles, day by day."""
        rows = sorted(self.ask(question), key=lambda row: row["key"]["bucketStart"] or "")
        return [(int(row["calls"]), *(row["latencyMs"][name] for name in ("p50", "p95", "p99"))) for row in rows]

    def round(self, question: Question, times: Times) -> None:
        service, database = own_cpu_seconds(self._calledger.pid), cpu_seconds(self._calledger.postmaster)
        begin = time.perf_counter()
        for _ in range(self._repeats):
            self.ask(question)
        times.wall.append((time.perf_counter() - begin) / self._repeats)
        times.cpu.append((cpu_seconds(self._calledger.postmaster) - database) / self._repeats)
        times.service_cpu.append((own_cpu_seconds(self._calledger.pid) - service) / self._repeats)


class Raw:
    """The scan of the calls by SQL, in one process of PostgreSQL."""

    def __init__(self, calledger: Calledger, filled: fill.Filled) -> None:
        self._calledger, self._filled = calledger, filled

    def _rows(self, question: Question) -> list[asyncpg.Record]:
        async def work() -> list[asyncpg.Record]:
            owner = await fill.connect(self._calledger)
            await owner.execute("SET max_parallel_workers_per_gather = 0")
            try:
                return await owner.fetch(question.raw, *edges(self._filled, question), timeout=3600)
            finally:
                await owner.close()

        return asyncio.run(work())

    def sums(self, question: Question) -> Sums:
        return _by_key(
            (row["key"], row["calls"], row["input"], row["output"], row["amount"]) for row in self._rows(question)
        )

    def percentiles(self, question: Question) -> list[tuple[int, ...]]:
        rows = self._rows(question)
        return [
            (row["calls"], *row["latency"])
            for row in (sorted(rows, key=lambda r: r["day"]) if question.local else rows)
        ]

    def round(self, question: Question, times: Times) -> None:
        database, begin = cpu_seconds(self._calledger.postmaster), time.perf_counter()
        self._rows(question)
        times.wall.append(time.perf_counter() - begin)
        times.cpu.append(cpu_seconds(self._calledger.postmaster) - database)


class ClickHouse:
    """A chdb process with the calls in a MergeTree table."""

    def __init__(self, process: subprocess.Popen[str], filled: fill.Filled, repeats: int) -> None:
        self._process, self._filled, self._repeats = process, filled, repeats

    def ask(self, statement: str) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _statement(self, question: Question) -> str:
        bounds = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in edges(self._filled, question))
        return question.clickhouse.format(*bounds)

    def sums(self, question: Question) -> Sums:
        rows = self.ask(self._statement(question))["rows"]
        return _by_key((row[0], *map(int, row[-4:-1]), Decimal(str(row[-1]))) for row in rows)

    def round(self, question: Question, times: Times) -> None:
        answers = [self.ask(self._statement(question)) for _ in range(self._repeats)]
        times.wall.append(statistics.median(answer["wall_s"] for answer in answers))
        times.cpu.append(statistics.median(answer["cpu_s"] for answer in answers))


@contextmanager
def clickhouse(calledger: Calledger, filled: fill.Filled, repeats: int) -> Iterator[ClickHouse]:
    """ClickHouse with the same rows, loaded anew each time: it takes seconds."""
    python = environment("chdb", _CHDB)
    folder = FOLDER / "chdb"
    shutil.rmtree(folder, ignore_errors=True)
    command = [python, ROOT / "benchmarks" / "peers" / "clickhouse.py", folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        opened = ClickHouse(process, filled, repeats)
        opened.ask("CREATE DATABASE ledger")
        opened.ask(_CLICKHOUSE_TABLE)
        _load(calledger, opened)
        yield opened
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _load(calledger: Calledger, opened: ClickHouse) -> None:
    begin = time.monotonic()
    path = FOLDER / "calls.csv"

    async def work() -> None:
        owner = await fill.connect(calledger)
        await owner.copy_from_query(_EXPORTED, output=path, format="csv", timeout=3600)
        await owner.close()

    asyncio.run(work())
    best_effort = "date_time_input_format = 'best_effort', format_csv_null_representation = ''"
    opened.ask(f"INSERT INTO ledger.calls SELECT * FROM file('{path}', CSV) SETTINGS {best_effort}")
    opened.ask("OPTIMIZE TABLE ledger.calls FINAL")
    path.unlink()
    say(f"  ClickHouse loaded in {time.monotonic() - begin:.0f} s")


def compare(ours: Ours, raw: Raw, click: ClickHouse) -> None:
    """SystemExit unless all give the same calls, tokens and money, and percentiles within 5 %."""
    for name, question in QUESTIONS.items():
        if question.latency:
            same = _near(ours.percentiles(question), raw.percentiles(question))
        else:
            first = ours.sums(question)
            same = all(_same(first, other.sums(question)) for other in ((raw, click) if question.peers else (raw,)))
        if not same:
            raise SystemExit(f"the answers differ for `{name}`")


def _same(first: Sums, other: Sums) -> bool:
    # ClickHouse prints decimals as JSON numbers, which lose the last digits.
    return first.keys() == other.keys() and all(
        first[key][:3] == other[key][:3] and abs(first[key][3] - other[key][3]) < Decimal("1e-6") for key in first
    )


def _near(found: list[tuple[int, ...]], exact: list[tuple[int, ...]]) -> bool:
    pairs = zip(found, exact, strict=True)
    return all(
        ours[0] == theirs[0] and all(abs(a - b) <= 0.05 * b for a, b in zip(ours[1:], theirs[1:], strict=True))
        for ours, theirs in pairs
    )


def measured(calls: int, rounds: int, repeats: int, *, peers: bool) -> tuple[Taken, fill.Filled]:
    """Times by contender and question, and what they were measured on."""
    with Calledger(fill.folder(calls)) as calledger:
        filled = fill.filled(calledger, calls)
        ours = Ours(calledger, calledger.new_key("viewer"), filled, repeats)
        if not peers:
            return _rounds({"Calledger": ours}, rounds, None), filled
        with clickhouse(calledger, filled, repeats) as click:
            raw = Raw(calledger, filled)
            compare(ours, raw, click)
            return _rounds({"Calledger": ours, "raw scan": raw, "ClickHouse": click}, rounds, say), filled


def _rounds(contenders: Mapping[str, Any], rounds: int, tell: Callable[[str], None] | None) -> Taken:
    times: Taken = {}
    for number in range(-1, rounds):  # the first is not counted
        if tell is not None:
            tell(f"  round {number + 1} of {rounds}")
        for name, question in QUESTIONS.items():
            for contender, asked in contenders.items():
                if (contender == "ClickHouse" and not question.peers) or (
                    contender == "raw scan" and not 0 <= number < _RAW_ROUNDS
                ):
                    continue
                taken = times.setdefault((contender, name), Times())
                asked.round(question, taken if number >= 0 else Times())
    return times


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=False))


def figures(times: Taken, note: str) -> list[Figure]:
    found = []
    for question in (name for name, question in QUESTIONS.items() if question.peers):
        ours, raw, click = (times[name, question] for name in ("Calledger", "raw scan", "ClickHouse"))
        whole = [a + b for a, b in zip(ours.cpu, ours.service_cpu, strict=True)]
        with_service = f"{note}; {_ratio(raw.cpu, whole):.1f} with the service's own CPU"
        found.append(Figure(f"costs/{question}/raw", _ratio(raw.cpu, ours.cpu), with_service))
        by_cpu = f"{note}; by CPU of all {_ratio(click.cpu, whole):.1f}"
        found.append(Figure(f"costs/{question}/clickhouse", _ratio(click.wall, ours.wall), by_cpu))
    return found


def growth(grown: Mapping[int, tuple[Taken, fill.Filled]]) -> Iterator[str]:
    """The table of how cost grows: a line a question, a column a number of calls."""
    counts = sorted(grown)
    yield (
        f"{'wall ms / CPU ms of all':30}"
        + "".join(f"{f'{count:,} calls':>20}" for count in counts)
        + f"{'CPU grew':>12}"
    )
    for name, question in QUESTIONS.items():
        taken = [grown[count][0]["Calledger", name] for count in counts]
        cells = "".join(f"{f'{times.wall_ms:.2f} / {times.whole_cpu_ms:.2f}':>20}" for times in taken)
        yield f"{question.label:30}{cells}{taken[-1].whole_cpu_ms / taken[0].whole_cpu_ms:>10.2f} x"
    yield f"{'loading them took':30}" + "".join(f"{f'{grown[count][1].load_s:.0f} s':>20}" for count in counts)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=10_000_000, quick_calls=100_000)
    options.add_argument("--growth", action="store_true", help="with --quick: also at a tenth and three tenths of them")
    chosen = options.parse_args(arguments)
    calls, rounds, repeats = calls_of(chosen), 3 if chosen.quick else 7, 5 if chosen.quick else 20
    say(machine())
    times, _ = measured(calls, rounds, repeats, peers=True)
    found, grown = figures(times, f"{calls:,} calls"), {}
    if chosen.growth or not chosen.quick:
        # Without the peers, whose scans leave nothing in a cache.
        for size in (calls // 10, calls * 3 // 10, calls):
            grown[size] = measured(size, _GROWTH_ROUNDS, repeats, peers=False)
        least, most = (statistics.median(grown[count][0]["Calledger", "days"].cpu) for count in (calls // 10, calls))
        found.append(Figure("costs/growth", most / least, f"{calls // 10:,} to {calls:,} calls"))
    print(f"{'':38} {'wall ms':>10} {'CPU ms':>10} {'service ms':>12}")
    for name, question in QUESTIONS.items():
        for contender in (one for one, asked in times if asked == name):
            print(f"{f'{contender}, {question.label}':38} {times[contender, name].row()}")
    if grown:
        print("\n" + "\n".join(growth(grown)))
    details = {f"{name}, {question}": asdict(taken) for (name, question), taken in times.items()}
    details["growth"] = {
        count: {name: asdict(taken["Calledger", name]) for name in QUESTIONS} | {"load_s": filled.load_s}
        for count, (taken, filled) in sorted(grown.items())
    }
    details["sample"] = {"models_per_key": sample.MODELS_PER_KEY, "keys": sample.KEYS}
    return conclude(found, details, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
