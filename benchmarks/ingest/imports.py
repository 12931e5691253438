"""How many rows a second `calledger import` brings in, from the command to its summary: the file is read, each row
admitted, redacted, sealed and committed, its sums and its place in the feed written. A service runs beside it, and has
nothing to do.

new-api's rows are of a SQLite database, the native ones NDJSON, LiteLLM's a CSV of its table. The CPU is that of the
command alone, without PostgreSQL's.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import FOLDER, ROOT, TESTS, say
from benchmarks.harness.processes import machine

sys.path.extend(TESTS)
ROWS: Final = 100_000


def newapi(folder: Path, count: int) -> Sequence[str]:
    """One row in twenty has failed, one in ten is no call."""
    from newapi import rows, sqlite_of

    return "new-api", sqlite_of(folder / "logs.db", "new-api 1.0", list(rows(count))), "--account", "bench"


def native(folder: Path, count: int) -> Sequence[str]:
    """As `POST /v1/calls` takes them, 3 % failed."""
    path = folder / "calls.ndjson"
    with path.open("w") as file:
        file.writelines(json.dumps(call) + "\n" for call in sample.native_calls(count, 1))
    return "native", str(path)


def litellm(folder: Path, count: int) -> Sequence[str]:
    """Rows of its table, each under an id of its own."""
    from gateway_rows import litellm_pairs

    pairs = [pair["row"] for pair in litellm_pairs()[:3]]
    path = folder / "spend.csv"
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(dict.fromkeys(name for row in pairs for name in row)))
        lines.writeheader()
        for number in range(count):
            row = pairs[number % len(pairs)] | {"request_id": f"r-{number}", "litellm_call_id": f"c-{number}"}
            lines.writerow({k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()})
    return "litellm", str(path), "--account", "bench"


SOURCES: Final[dict[str, Callable[[Path, int], Sequence[str]]]] = {
    "new-api": newapi,
    "native": native,
    "litellm": litellm,
}


def imported(house: Calledger, arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of one import, and CPU seconds of its command."""
    command = [sys.executable, "-m", "service", "import", *arguments, "--data", str(house.data)]
    before, begun = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - begun, os.times()
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    say(done.stdout.splitlines()[0])
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, spent


def main() -> int:
    chosen = parser(__doc__, calls=ROWS, quick_calls=10_000).parse_args()
    count, figures, spent_s = calls_of(chosen), list[Figure](), dict[str, float]()
    say(machine())
    folder = FOLDER / "imports"
    for name, made in SOURCES.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        arguments = made(folder, count)
        with Calledger(folder / "data") as house:
            seconds, spent = imported(house, arguments)
        spent_s[name] = spent
        note = f"{count:,} rows, {count / spent:,.0f} per CPU second of the command"
        figures.append(Figure(f"imports/{name}", count / seconds, note))
        say(f"{name}: {count / seconds:,.0f} rows/s; {note}")
    shutil.rmtree(folder, ignore_errors=True)
    return conclude(figures, {"rows": count, "cpu_s": spent_s}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
