"""Measure what Calledger must reach, each in one run beside its contenders, and print the table.

    python -m benchmarks                    everything: forty minutes, and quiet machines only
    python -m benchmarks page costs         some of it
    python -m benchmarks page --forms       options that we do not know go to the programs
    python -m benchmarks --quick            small data, few rounds: a look at whether all of it works

Each is a program of its own too: `python -m benchmarks.query.page --help`. Peers are installed on first use, in
environments of their own. Figures are kept as JSON in `.benchmarks/results/`. Ends with 1 when a bar was missed (not
with --quick).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.bars import Figure
from benchmarks.harness.places import RESULTS, ROOT, say
from benchmarks.harness.processes import machine

Found = list[Figure]


def _own(result: dict[str, Any]) -> Found:
    return [Figure(figure["name"], figure["value"], figure["note"]) for figure in result["figures"]]


def _redaction(result: dict[str, Any]) -> Found:
    slowest = max(result["message_us"], key=result["message_us"].get)
    steepest = max(result["doubling"], key=result["doubling"].get)
    return [
        Figure("redaction/message", result["message_us"][slowest], slowest),
        Figure("redaction/url", max(result["url_us"].values())),
        Figure("redaction/cap", max(result["cap_ms"].values()), max(result["cap_ms"], key=result["cap_ms"].get)),
        Figure("redaction/doubling", result["doubling"][steepest], steepest),
    ]


def _ledger(result: dict[str, Any]) -> Found:
    medians = {entry["work"]: entry["median_ms"] for entry in result["results"]}
    note = f"{result['entries']:,} entries"
    return [
        Figure("ledger/append", medians["append, in the caller's transaction"], note),
        Figure("ledger/proof", medians["inclusion proof"], note),
    ]


@dataclass(frozen=True, slots=True)
class Program:
    """One of a folder here. `quick`: what makes it quick. `to_file`: it takes `--json FILE`; else its JSON is the last
    line that it prints. `figures`: from its JSON to the table's.
    """

    folder: str
    quick: tuple[str, ...] = ("--quick",)
    to_file: bool = True
    figures: Callable[[dict[str, Any]], Found] = _own


PROGRAMS: Final = {
    "seal": Program("policies"),
    "redaction": Program("policies", quick=("--alone",), figures=_redaction),
    "startup": Program("storage"),
    "disk": Program("storage"),
    "cold": Program("storage"),
    "page": Program("query"),
    "ingest": Program("ingest"),
    "costs": Program("query"),
    "phoenix": Program("peers"),
    "ledger": Program("storage", quick=("20000",), to_file=False, figures=_ledger),
    "purge": Program("storage"),
    "exports": Program("query"),
    "imports": Program("ingest"),
    "freeze": Program("query"),
    "feed": Program("ingest"),
    "console": Program("query"),
    "growth": Program("storage"),
    "citus": Program("ingest"),
    "workers": Program("ingest"),
}


def run(name: str, options: Sequence[str], *, quick: bool) -> Found | None:
    """Run one program, showing what it prints; its figures, or None when it failed."""
    program = PROGRAMS[name]
    path = RESULTS / f"{name}.json"
    path.unlink(missing_ok=True)
    to_file = ["--json", str(path)] if program.to_file else []
    options = [*(program.quick if quick else ()), *to_file, *options]
    command = [sys.executable, "-m", f"benchmarks.{program.folder}.{name}", *options]
    print(f"\n== {name}", flush=True)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout:
        last = line if line.strip() else last
        if program.to_file or not line.startswith("{"):
            print(line, end="", flush=True)
    failed = process.wait() > 1
    if not program.to_file and last.startswith("{"):
        path.write_text(last)
    if path.exists() and not failed:
        return program.figures(json.loads(path.read_text()))
    return [] if "--profile" in options and not failed else None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(PROGRAMS)} (all)")
    parser.add_argument("--quick", action="store_true", help="small data and few rounds: for orientation only")
    chosen, options = parser.parse_known_args()
    unknown = [name for name in chosen.names if name not in PROGRAMS]
    if unknown:
        parser.error(f"there is no benchmark `{unknown[0]}`: choose from {', '.join(PROGRAMS)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    taken_on, begun = machine(), datetime.now(UTC)
    results = {name: run(name, options, quick=chosen.quick) for name in chosen.names or PROGRAMS}
    figures = [figure for found in results.values() for figure in found or []]
    print(f"\n== {taken_on}; {begun:%Y-%m-%d %H:%M} UTC{'; quick: for orientation only' if chosen.quick else ''}")
    for figure in figures:
        print(figure.line())
    summary = {"machine": taken_on, "at": begun, "quick": chosen.quick, "figures": [one.entry() for one in figures]}
    (RESULTS / "summary.json").write_text(json.dumps(summary, indent=1, default=str) + "\n")
    failed = [name for name, found in results.items() if found is None]
    if failed:
        say(f"failed: {', '.join(failed)}")
        return 2
    return int(not chosen.quick and any(figure.bar.verdict(figure.value) == "MISSED" for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
