"""What it costs to read a row of another gateway's history, beside a row of the native format: CPU of this process.

    python -m benchmarks.ingest.adapters

Rows are those of tests/reports/histories, content and all; the native one has the same facts and none. Rounds take
turns, and the ratio is the median over them.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.data import sample
from benchmarks.harness import options
from benchmarks.harness.places import TESTS, say
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.litellm.spend_log import read_spend_log
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.native.reader import read_row

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


def contenders() -> dict[str, tuple[Callable[[Any], Any], Sequence[bytes]]]:
    """By name what reads, and rows of calls that succeeded."""
    sys.path.extend(TESTS)
    from gateway_rows import READERS, litellm_pairs, rows_of

    calls = [call for call in sample.native_calls(400, 1) if call["status"] == "succeeded"][:200]
    table = [json.dumps({key: str(cell) for key, cell in call.items() if key != "tags"}).encode() for call in calls]
    found = {
        "native": (read_row, [json.dumps(call).encode() for call in calls]),
        "csv, by a map": (MappedReader(MAP.encode(), "map"), table),
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
    costs: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (read, rows) in programs.items():
            costs[name].append(cost_us(read, rows, count))
    figures = []
    for name, (_, rows) in programs.items():
        ratio = statistics.median(mine / native for mine, native in zip(costs[name], costs["native"], strict=True))
        size = sum(map(len, rows)) / len(rows)
        figures.append({"name": name, "us": statistics.median(costs[name]), "ratio": ratio, "bytes": size})
        say(f"{name:30} {figures[-1]['us']:7.1f} us a row   {ratio:5.1f} x native   {size:6.0f} bytes")
    if chosen.json:
        chosen.json.write_text(json.dumps({"figures": figures}))


if __name__ == "__main__":
    main()
