"""What it costs to read a row of another gateway's history until it is a report: CPU of this process.

    python -m benchmarks.ingest.adapters

Rows are those of tests/reports/histories, content and all. Beside each stand a plain row of the native format, the very
call of the row in the native format, with all the facts that its report has and without content, and what a kilobyte
takes. Rounds take turns, and the ratios are medians over them.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import orjson

from benchmarks.data import sample
from benchmarks.harness import options
from benchmarks.harness.places import TESTS, say
from policies import Report
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.litellm.spend_log import read_spend_log
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.newapi.adapter import read_log_row
from service.ingest.formats.newapi.log_row import LogSettings

MAP = """
[call]
id = "id"
started_at = "started_at"
model = "model"
account = "account"
user = "user"
status = { column = "status", succeeded = ["succeeded"], failed = ["failed"] }
input_tokens = "input_tokens"
output_tokens = "output_tokens"
amount = "amount"
currency = "currency"
latency_ms = "latency_ms"
[error]
message = "error"
"""
_FACTS: Final = (
    *("account", "api_key", "user", "served_model", "provider", "operation", "streamed", "input_tokens"),
    *("output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "currency", "latency_ms"),
    *("time_to_first_token_ms", "amount"),
)


def told_natively(report: Report) -> bytes:
    """The call of a report as a row of the native format."""
    call = {
        "id": report.source_id,
        "started_at": report.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "model": report.model,
        "status": "succeeded",
        "tags": report.tags,
        "amount_parts": [
            {"name": part.meter, "quantity": part.quantity, "unit_price": part.unit_price, "amount": part.amount}
            for part in report.amount_parts or ()
        ],
    }
    call |= {name: getattr(report, name) for name in _FACTS}
    call |= msgspec.structs.asdict(report.attributes) if report.attributes is not None else {}
    return orjson.dumps({name: value for name, value in call.items() if value not in (None, {}, [])}, default=str)


def contenders() -> dict[str, tuple[Callable[[Any], Any], Sequence[bytes]]]:
    """By name what reads, and rows of calls that succeeded."""
    sys.path.extend(TESTS)
    from gateway_rows import READERS, litellm_pairs, rows_of
    from newapi import consumed

    calls = [call for call in sample.native_calls(400, 1) if call["status"] == "succeeded"][:200]
    table = [json.dumps({key: str(cell) for key, cell in call.items() if key != "tags"}).encode() for call in calls]
    found = {
        "native": (read_row, [json.dumps(call).encode() for call in calls]),
        "csv, by a map": (MappedReader(MAP.encode(), "map"), table),
        "new-api's log": (
            partial(read_log_row, settings=LogSettings("new-api")),
            [json.dumps(consumed(id_)).encode() for id_ in range(200)],
        ),
    }
    for name, reader in READERS.items():
        found[name] = (reader, rows_of(name)[:1])
    pairs = litellm_pairs()[:3]
    found["LiteLLM's table"] = (read_spend_log, [json.dumps(pair["row"]).encode() for pair in pairs])
    found["LiteLLM's callback"] = (read_entry, [json.dumps(pair["callback"]).encode() for pair in pairs])
    return found


def cost_us(read: Callable[[Any], Any], rows: Sequence[bytes], count: int) -> float:
    """CPU microseconds a row."""
    some = (list(rows) * (count // len(rows) + 1))[:count]
    began = time.process_time()
    for row in some:
        read(row)
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    chosen = options.parser(__doc__).parse_args()
    rounds, count = (3, 400) if chosen.quick else (15, 2_000)
    programs = contenders()
    natively = {name: [told_natively(read(row)) for row in rows] for name, (read, rows) in programs.items()}
    costs: dict[str, list[float]] = {name: [] for name in programs}
    native_costs: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (read, rows) in programs.items():
            costs[name].append(cost_us(read, rows, count))
            native_costs[name].append(cost_us(read_row, natively[name], count))
    figures = []
    for name, (_, rows) in programs.items():
        figure = {
            "name": name,
            "us": statistics.median(costs[name]),
            "ratio": ratio(costs[name], costs["native"]),
            "same_call": ratio(costs[name], native_costs[name]),
            "bytes": sum(map(len, rows)) / len(rows),
        }
        figures.append(figure)
        say(
            f"{name:28} {figure['us']:6.1f} us a row  {figure['ratio']:5.1f} x native  {figure['same_call']:4.1f} x "
            f"the same call natively  {figure['bytes']:6.0f} bytes, {figure['us'] / figure['bytes'] * 1e3:5.1f} us a kB"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps({"figures": figures}))


def ratio(mine: Sequence[float], native: Sequence[float]) -> float:
    """The median over the rounds."""
    return statistics.median(one / other for one, other in zip(mine, native, strict=True))


if __name__ == "__main__":
    main()
