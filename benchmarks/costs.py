"""Cost by model over 30 days of all accounts: Calledger's GraphQL, beside the raw scan of the same calls in the same
PostgreSQL, and ClickHouse (the `chdb` package) scanning the same rows.

By UTC days, and by local days of Asia/Kolkata (half an hour off every hour). CPU is that of all PostgreSQL processes;
the service's own is shown beside it. With `--growth` also the same query at a tenth and a third of the calls.
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

from benchmarks import fill, sample
from benchmarks.bars import Figure, conclude
from benchmarks.calledger import Calledger, ask
from benchmarks.options import calls_of, parser
from benchmarks.places import FOLDER, ROOT, environment, say
from benchmarks.processes import cpu_seconds, machine, own_cpu_seconds

ZONE: Final = "Asia/Kolkata"
DAYS: Final = 30
_CHDB: Final = "chdb==4.4.0"
_FIGURES: Final = "key { model bucketStart } calls inputTokens outputTokens amount { amount currency }"
_QUERIES: Final = {
    "days": f"""query ($from: DateTime!, $to: DateTime!) {{
      costs(filter: {{startedAt: {{gte: $from, lt: $to}}}}, groupBy: [MODEL], first: 10000) {{
        truncated rows {{ {_FIGURES} }}
      }}
    }}""",
    "zone": f"""query ($from: DateTime!, $to: DateTime!) {{
      costs(
        filter: {{startedAt: {{gte: $from, lt: $to}}}}, groupBy: [MODEL], bucket: DAY, timeZone: "{ZONE}", first: 10000
      ) {{ truncated rows {{ {_FIGURES} }} }}
    }}""",
}
_SUMS: Final = "count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(amount) AS amount"
_RAW: Final = {
    "days": f"""
        SELECT model, currency, {_SUMS} FROM call
        WHERE tier = 1 AND started_at >= $1 AND started_at < $2 GROUP BY model, currency
    """,
    "zone": f"""
        SELECT model, currency, date_trunc('day', started_at, '{ZONE}') AS day, {_SUMS} FROM call
        WHERE tier = 1 AND started_at >= $1 AND started_at < $2 GROUP BY model, currency, day
    """,
}
_CLICKHOUSE: Final = {
    "days": f"""
        SELECT model, currency, {_SUMS} FROM ledger.calls
        WHERE started_at >= '{{0}}' AND started_at < '{{1}}' GROUP BY model, currency
    """,
    "zone": f"""
        SELECT model, currency, toDate(started_at, '{ZONE}') AS day, {_SUMS} FROM ledger.calls
        WHERE started_at >= '{{0}}' AND started_at < '{{1}}' GROUP BY model, currency, day
    """,
}
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
Sums = dict[str, tuple[int, int, int, Decimal]]


@dataclass(slots=True)
class Times:
    """Seconds, one entry a round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    service_cpu: list[float] = field(default_factory=list)

    def row(self) -> str:
        service = f"{statistics.median(self.service_cpu) * 1e3:>12.2f}" if self.service_cpu else f"{'':12}"
        return f"{statistics.median(self.wall) * 1e3:>10.2f} {statistics.median(self.cpu) * 1e3:>10.2f} {service}"


def edges(filled: fill.Filled, question: str) -> tuple[datetime, datetime]:
    """30 days that the calls cover: UTC days, or days of ZONE, which begin at 18:30 UTC."""
    begin = filled.first_day + (timedelta(hours=18, minutes=30) if question == "zone" else timedelta())
    return begin, begin + timedelta(days=DAYS)


def _by_model(rows: Iterator[tuple[str, int, int, int, Decimal]]) -> Sums:
    sums: Sums = {}
    for model, *figures in rows:
        had = sums.get(model, (0, 0, 0, Decimal(0)))
        sums[model] = tuple(a + b for a, b in zip(had, figures, strict=True))
    return sums


class Ours:
    """The service, asked by GraphQL `repeats` times a round."""

    def __init__(self, house: Calledger, key: str, filled: fill.Filled, repeats: int) -> None:
        self._house, self._key, self._filled, self._repeats = house, key, filled, repeats

    def ask(self, question: str) -> list[dict[str, Any]]:
        begin, end = edges(self._filled, question)
        variables = {"from": begin.isoformat(), "to": end.isoformat()}
        report = ask(self._house.url, self._key, _QUERIES[question], **variables)["costs"]
        if report["truncated"]:
            raise SystemExit("the costs were truncated")
        return report["rows"]

    def sums(self, question: str) -> Sums:
        return _by_model(
            (
                row["key"]["model"],
                int(row["calls"]),
                int(row["inputTokens"]),
                int(row["outputTokens"]),
                Decimal(row["amount"]["amount"]),
            )
            for row in self.ask(question)
        )

    def round(self, question: str, times: Times) -> None:
        service, database = own_cpu_seconds(self._house.pid), cpu_seconds(self._house.postmaster)
        begin = time.perf_counter()
        for _ in range(self._repeats):
            self.ask(question)
        times.wall.append((time.perf_counter() - begin) / self._repeats)
        times.cpu.append((cpu_seconds(self._house.postmaster) - database) / self._repeats)
        times.service_cpu.append((own_cpu_seconds(self._house.pid) - service) / self._repeats)


class Raw:
    """The scan of the calls by SQL, in one process of PostgreSQL."""

    def __init__(self, house: Calledger, filled: fill.Filled) -> None:
        self._house, self._filled = house, filled

    def _rows(self, question: str) -> list[asyncpg.Record]:
        async def work() -> list[asyncpg.Record]:
            owner = await fill.connect(self._house)
            await owner.execute("SET max_parallel_workers_per_gather = 0")
            try:
                return await owner.fetch(_RAW[question], *edges(self._filled, question), timeout=3600)
            finally:
                await owner.close()

        return asyncio.run(work())

    def sums(self, question: str) -> Sums:
        return _by_model(
            (row["model"], row["calls"], row["input"], row["output"], row["amount"]) for row in self._rows(question)
        )

    def round(self, question: str, times: Times) -> None:
        database, begin = cpu_seconds(self._house.postmaster), time.perf_counter()
        self._rows(question)
        times.wall.append(time.perf_counter() - begin)
        times.cpu.append(cpu_seconds(self._house.postmaster) - database)


class ClickHouse:
    """A chdb process with the calls in a MergeTree table."""

    def __init__(self, process: subprocess.Popen[str], filled: fill.Filled, repeats: int) -> None:
        self._process, self._filled, self._repeats = process, filled, repeats

    def ask(self, statement: str) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _statement(self, question: str) -> str:
        bounds = (moment.strftime("%Y-%m-%d %H:%M:%S") for moment in edges(self._filled, question))
        return _CLICKHOUSE[question].format(*bounds)

    def sums(self, question: str) -> Sums:
        rows = self.ask(self._statement(question))["rows"]
        return _by_model((row[0], *map(int, row[-4:-1]), Decimal(str(row[-1]))) for row in rows)

    def round(self, question: str, times: Times) -> None:
        answers = [self.ask(self._statement(question)) for _ in range(self._repeats)]
        times.wall.append(statistics.median(answer["wall_s"] for answer in answers))
        times.cpu.append(statistics.median(answer["cpu_s"] for answer in answers))


@contextmanager
def clickhouse(house: Calledger, filled: fill.Filled, repeats: int) -> Iterator[ClickHouse]:
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
        _load(house, opened)
        yield opened
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _load(house: Calledger, opened: ClickHouse) -> None:
    begin = time.monotonic()
    path = FOLDER / "calls.csv"

    async def work() -> None:
        owner = await fill.connect(house)
        await owner.copy_from_query(_EXPORTED, output=path, format="csv", timeout=3600)
        await owner.close()

    asyncio.run(work())
    best_effort = "date_time_input_format = 'best_effort', format_csv_null_representation = ''"
    opened.ask(f"INSERT INTO ledger.calls SELECT * FROM file('{path}', CSV) SETTINGS {best_effort}")
    opened.ask("OPTIMIZE TABLE ledger.calls FINAL")
    path.unlink()
    say(f"  ClickHouse loaded in {time.monotonic() - begin:.0f} s")


def compare(contenders: Mapping[str, Any]) -> None:
    """SystemExit unless all give the same calls, tokens and money, by model."""
    for question in _QUERIES:
        sums = {name: contender.sums(question) for name, contender in contenders.items()}
        first, *others = sums.items()
        for name, other in others:
            # ClickHouse prints decimals as JSON numbers, which lose the last digits.
            near = all(
                first[1][model][:3] == other[model][:3] and abs(first[1][model][3] - other[model][3]) < Decimal("1e-6")
                for model in first[1]
            )
            if first[1].keys() != other.keys() or not near:
                raise SystemExit(f"{name} and {first[0]} differ for `{question}`")


def measured(calls: int, rounds: int, repeats: int, *, peers: bool) -> dict[tuple[str, str], Times]:
    """Times by contender and question."""
    with Calledger(fill.folder(calls)) as house:
        filled = fill.filled(house, calls)
        ours = Ours(house, house.new_key("viewer"), filled, repeats)
        if not peers:
            return _rounds({"Calledger": ours}, rounds, None)
        with clickhouse(house, filled, repeats) as click:
            contenders = {"Calledger": ours, "raw scan": Raw(house, filled), "ClickHouse": click}
            compare(contenders)
            return _rounds(contenders, rounds, say)


def _rounds(
    contenders: Mapping[str, Any], rounds: int, tell: Callable[[str], None] | None
) -> dict[tuple[str, str], Times]:
    times = {(name, question): Times() for name in contenders for question in _QUERIES}
    for contender in contenders.values():
        for question in _QUERIES:
            contender.round(question, Times())
    for number in range(rounds):
        if tell is not None:
            tell(f"  round {number + 1} of {rounds}")
        for question in _QUERIES:
            for name, contender in contenders.items():
                contender.round(question, times[name, question])
    return times


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


def figures(times: Mapping[tuple[str, str], Times], note: str) -> list[Figure]:
    found = []
    for question in _QUERIES:
        ours, raw, click = (times[name, question] for name in ("Calledger", "raw scan", "ClickHouse"))
        whole = [a + b for a, b in zip(ours.cpu, ours.service_cpu, strict=True)]
        with_service = f"{note}; {_ratio(raw.cpu, whole):.1f} with the service's own CPU"
        found.append(Figure(f"costs/{question}/raw", _ratio(raw.cpu, ours.cpu), with_service))
        by_cpu = f"{note}; by CPU of all {_ratio(click.cpu, whole):.1f}"
        found.append(Figure(f"costs/{question}/clickhouse", _ratio(click.wall, ours.wall), by_cpu))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=10_000_000, quick_calls=100_000)
    options.add_argument("--growth", action="store_true", help="also at a tenth and a third of the calls")
    chosen = options.parse_args(arguments)
    calls, rounds, repeats = calls_of(chosen), 3 if chosen.quick else 7, 5 if chosen.quick else 20
    say(machine())
    times = measured(calls, rounds, repeats, peers=True)
    note = f"{calls:,} calls"
    found = figures(times, note)
    grown = {calls: times["Calledger", "days"]}
    if chosen.growth or not chosen.quick:
        for fewer in (calls // 10, calls * 3 // 10):
            grown[fewer] = measured(fewer, rounds, repeats, peers=False)["Calledger", "days"]
        least, most = (statistics.median(grown[count].cpu) for count in (calls // 10, calls))
        found.append(Figure("costs/growth", most / least, f"{calls // 10:,} to {calls:,} calls"))
    print(f"{'':30} {'wall ms':>10} {'CPU ms':>10} {'service ms':>12}")
    for (name, question), taken in times.items():
        print(f"{name + ', ' + ('by local day' if question == 'zone' else 'by model'):30} {taken.row()}")
    for count, taken in sorted(grown.items()):
        print(f"{f'Calledger, {count:,} calls':30} {taken.row()}")
    details = {f"{name}, {question}": asdict(taken) for (name, question), taken in times.items()}
    details["sample"] = {"models_per_key": sample.MODELS_PER_KEY, "keys": sample.KEYS}
    return conclude(found, details, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
