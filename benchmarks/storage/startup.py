"""Seconds from the command to the ready line with the embedded database, first and next; memory at rest; and how
memory grows while a million calls are exported.
"""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.harness.calledger import Calledger, ask
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import FOLDER, ROOT, say
from benchmarks.harness.processes import children, machine, proportional_mb, resident_mb

REST_S: Final = 5.0
_SAMPLE_S: Final = 0.1


@dataclass(slots=True)
class Starts:
    """Seconds to ready; and CPU seconds of all processes until then, which a busy machine bends less."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def text(self) -> str:
        return f"{', '.join(f'{taken:.2f}' for taken in self.wall)} s; CPU {statistics.median(self.cpu):.2f} s"

    def figure(self, name: str) -> Figure:
        note = f"best {min(self.wall):.2f}; CPU {statistics.median(self.cpu):.2f} s"
        return Figure(name, statistics.median(self.wall), note)


def starts(rounds: int) -> tuple[Starts, Starts]:
    """Starts over an empty folder, and over the one that it left."""
    first, later = Starts(), Starts()
    folder = FOLDER / "start"
    for _ in range(rounds):
        shutil.rmtree(folder, ignore_errors=True)
        for times in (first, later, later):
            with Calledger(folder) as calledger:
                times.wall.append(calledger.ready_s)
                times.cpu.append(calledger.ready_cpu_s)
    shutil.rmtree(folder, ignore_errors=True)
    return first, later


def at_rest(calledger: Calledger) -> dict[str, float]:
    """Memory after a report and a query of each kind, and a while of nothing."""
    admin = calledger.admin_key
    ask(calledger.url, admin, "{ calls { nodes { id } } costs(groupBy: [MODEL]) { nodes { calls } } viewer { role } }")
    time.sleep(REST_S)
    database = proportional_mb(children(calledger.postmaster))
    return {"service_mb": resident_mb(calledger.pid), "database_mb": database}


def exported(calledger: Calledger, limit: int) -> dict[str, Any]:
    """Memory of an export that is read row by row, from its first row to its last (or `limit`), and the service's."""
    command = [sys.executable, "-m", "service", "export", "calls", "--format", "ndjson", "--data", calledger.data]
    service = resident_mb(calledger.pid)
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    rows, peak, first, service_peak, next_look = 0, 0.0, 0.0, service, 0.0
    for _ in process.stdout:
        rows += 1
        if rows == 1:
            first = resident_mb(process.pid)
        if (now := time.monotonic()) > next_look:
            next_look = now + _SAMPLE_S
            peak, service_peak = max(peak, resident_mb(process.pid)), max(service_peak, resident_mb(calledger.pid))
        if rows == limit:
            break
    seconds = time.monotonic() - begin
    process.stdout.close()
    if rows == limit:
        process.terminate()
    elif process.wait():
        raise SystemExit("the export failed; its message is above")
    process.wait()
    return {
        "rows": rows, "seconds": seconds, "first_row_mb": first, "peak_mb": peak, "growth_mb": peak - first,
        "service_growth_mb": service_peak - service,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=1_000_000)
    options.add_argument("--rows", type=int, default=1_000_000, help="rows to export at most")
    chosen = options.parse_args(arguments)
    calls = calls_of(chosen)
    say(machine())
    first, later = starts(2 if chosen.quick else 5)
    with Calledger(fill.folder(calls)) as calledger:
        fill.filled(calledger, calls)
    with Calledger(fill.folder(calls)) as calledger:
        rest = at_rest(calledger)
        say(f"  at rest: {rest['service_mb']:.0f} MB, and {rest['database_mb']:.0f} MB of its PostgreSQL")
        export = exported(calledger, min(chosen.rows, calls))
    print(f"first starts: {first.text()}")
    print(f"next starts:  {later.text()}")
    print(f"at rest: service {rest['service_mb']:.0f} MB, its PostgreSQL {rest['database_mb']:.0f} MB (PSS)")
    print(
        f"export: {export['rows']:,} rows in {export['seconds']:.0f} s; {export['first_row_mb']:.0f} MB at its first "
        f"row, {export['peak_mb']:.0f} MB at most; the service beside it grew by {export['service_growth_mb']:.0f} MB"
    )
    growth = max(export["growth_mb"], export["service_growth_mb"])
    found = [
        first.figure("startup/first"),
        later.figure("startup/next"),
        Figure("memory/rest", rest["service_mb"], f"its PostgreSQL {rest['database_mb']:.0f} MB"),
        Figure("memory/export", growth, f"{export['rows']:,} rows"),
    ]
    return conclude(found, {"first": asdict(first), "next": asdict(later), "rest": rest, "export": export}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
