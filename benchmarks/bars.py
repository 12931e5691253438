"""The bars that the benchmarks measure against: how much there must be, and how much is aimed for."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the table. `more`: a larger figure is better."""

    work: str
    unit: str
    must: float
    aim: float
    more: bool = True

    def verdict(self, figure: float) -> str:
        if self._reached(figure, self.aim):
            return "aim met"
        return "met" if self._reached(figure, self.must) else "MISSED"

    def _reached(self, figure: float, bar: float) -> bool:
        return figure >= bar if self.more else figure <= bar


PAGE = "page of 50 calls x 10 fields"
BARS: Final = {
    "page/postgraphile": Bar(f"{PAGE}, against PostGraphile 5", "x req/s", 2, 3),
    "page/handwritten": Bar(f"{PAGE}, against hand-written aiohttp + asyncpg + orjson", "x req/s", 0.7, 0.95),
    "page/forms": Bar(f"{PAGE}, the slowest form that clients send, against hand-written", "x req/s", 0.75, 0.95),
    "page/best form": Bar(f"{PAGE}, the slowest form against the fastest", "x req/s", 0.9, 1),
    "page/naive": Bar(f"{PAGE}, against naive Strawberry + Tortoise", "x req/s", 12, 20),
    "ingest/copy": Bar("durable ingest over HTTP, against COPY + ON CONFLICT", "x rows/s", 0.25, 0.5),
    "workers/ingest": Bar("ingest by two services on one database, against one", "x rows/s", 1.6, 1.9),
    "costs/days/raw": Bar("cost by model, 30 UTC days, against the raw scan", "x less CPU", 50, 200),
    "costs/zone/raw": Bar("the same by local day in Asia/Kolkata", "x less CPU", 5, 20),
    "costs/days/clickhouse": Bar("cost by model, against ClickHouse", "x faster", 1, 5),
    "costs/zone/clickhouse": Bar("by local day, against ClickHouse", "x faster", 1, 5),
    "costs/growth": Bar("cost by model when the calls grow ten-fold in the same days", "x CPU", 1.3, 1.1, more=False),
    "phoenix/ingest": Bar("ingest over HTTP until stored, against Arize Phoenix", "x rows/s", 1, 10),
    "phoenix/summary": Bar("tokens, money and median latency of everything, against Phoenix", "x faster", 1, 10),
    "cold/call": Bar("disk per call in the cold tier", "bytes", 60, 45, more=False),
    "cold/page": Bar("page of an account from the cold tier", "ms", 50, 15, more=False),
    "startup/first": Bar("first start to ready, embedded", "s", 6, 3, more=False),
    "startup/next": Bar("next start to ready", "s", 2, 1, more=False),
    "memory/rest": Bar("resident memory of the service at rest", "MB", 200, 120, more=False),
    "memory/export": Bar("growth while exporting 1 million rows", "MB", 50, 20, more=False),
    "memory/file": Bar("growth of the service while a key's export is written", "MB", 50, 20, more=False),
    "imports/new-api": Bar("import of new-api's log from its database, command to summary", "rows/s", 10_000, 20_000),
    "imports/native": Bar("import of native calls from NDJSON", "rows/s", 10_000, 20_000),
    "imports/litellm": Bar("import of LiteLLM's table from CSV", "rows/s", 10_000, 20_000),
    "exports/csv": Bar("export of a million calls as CSV", "rows/s", 60_000, 200_000),
    "exports/parquet": Bar("the same as Parquet", "rows/s", 60_000, 200_000),
    "disk/call": Bar("disk per call with its indexes", "bytes", 350, 250, more=False),
    "growth/new": Bar("a call of a new account beside 100,000", "ms", 10, 5, more=False),
    "growth/unknown": Bar("a query that names an unknown account beside 100,000", "ms", 5, 3, more=False),
    "growth/others": Bar("others' pages beside new and unknown accounts, against known", "x", 1.3, 1.1, more=False),
    "growth/call": Bar("disk per call of sparse accounts, with sums and indexes", "bytes", 500, 400, more=False),
    "redaction/message": Bar("redacting a 500-character error message, the slowest kind", "us", 150, 80, more=False),
    "redaction/url": Bar(
        "the same with a URL, its user and its password, the slowest kind", "us", 300, 150, more=False
    ),
    "redaction/cap": Bar("redacting 64 KiB of the slowest adversarial text", "ms", 200, 50, more=False),
    "redaction/doubling": Bar("redaction when the input doubles, adversarial text", "x time", 2.2, 2.0, more=False),
    "purge/stall": Bar("purging calls while readers and writers run: worst stall", "ms", 50, 20, more=False),
    "purge/delete": Bar("purging until no statement reads the calls, against DELETE", "x faster", 100, 1000),
    "freeze/others": Bar(
        "others' ingest and `/healthz` beside the worst posted, 99th percentile", "ms", 50, 25, more=False
    ),
    "feed/lag": Bar("the change feed's lag at the ingest rate, 99th percentile", "s", 2, 0.5, more=False),
    "feed/consumer": Bar("a call's way to a consumer of `changes`, 99th percentile", "s", 2, 0.5, more=False),
    "feed/subscribers": Bar("ingest beside 500 subscribers, against ingest alone", "x rows/s", 0.9, 1),
    "ledger/append": Bar("appending to the ledger at a million entries", "ms", 1, 1, more=False),
    "ledger/proof": Bar("an inclusion proof at a million entries", "ms", 10, 10, more=False),
    "console/first load": Bar("the console's first load, with gzip", "kB", 200, 150, more=False),
    "console/filter": Bar("a filter of the Logs page, from the press to its rows", "ms", 150, 100, more=False),
    "console/rows": Bar("rows in the page while scrolling", "rows", 60, 40, more=False),
    "console/long frames": Bar("frames of over 50 ms while scrolling", "frames", 0, 0, more=False),
    "console/heap": Bar("growth of the heap over an hour's calls on live tail", "MB", 20, 5, more=False),
    "citus/page": Bar(f"{PAGE} on Citus, two workers, against one PostgreSQL", "x req/s", 0.5, 0.8),
    "citus/ingest": Bar("ingest on Citus, two workers, against one PostgreSQL", "x rows/s", 0.5, 0.8),
    "citus/second worker": Bar("calls that the busiest node takes, two workers against one", "x calls/CPU s", 1.5, 1.8),
    "seal/both": Bar("sealing and opening a record", "us", 15, 12, more=False),
}


@dataclass(slots=True)
class Figure:
    """What was measured for the bar `name`; `note` says what it rests on when it is not the whole bar."""

    name: str
    value: float
    note: str = ""

    @property
    def bar(self) -> Bar:
        return BARS[self.name]

    def line(self) -> str:
        bar = self.bar
        text = f"{bar.work:<68} {self.value:>9.3g} {bar.unit:<10} must {bar.must:<5g} aim {bar.aim:<5g}"
        return f"{text} {bar.verdict(self.value)}{f'   ({self.note})' if self.note else ''}"

    def entry(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | asdict(self.bar) | {"verdict": self.bar.verdict(self.value)}


def conclude(figures: Sequence[Figure], details: object, json_path: Path | None) -> int:
    """Print each figure beside its bar and write all to `json_path`; 1 when a bar is missed, else 0."""
    print()
    for figure in figures:
        print(figure.line())
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        written = {"figures": [figure.entry() for figure in figures], "details": details}
        json_path.write_text(json.dumps(written, indent=1, default=str) + "\n")
    return int(any(figure.bar.verdict(figure.value) == "MISSED" for figure in figures))
