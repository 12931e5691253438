"""How fast a key's export of a million calls is written as CSV, Parquet and NDJSON, and how the service grows.

`createExport` by a viewer's key, polled until it is ready, then downloaded and thrown away. Every field, every account.
Rows a second are by the clock, and beside them by the CPU time of the service: where others use the processors too, the
second says more. Memory is that of the service's process; the one that writes Parquet is said apart.
"""

import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.harness.calledger import Calledger, ask
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import machine, own_cpu_seconds, resident_mb

_CREATE: Final = "mutation { createExport(input: {kind: CALLS, format: %s}) { export { id } } }"
FORMS: Final = ("CSV", "PARQUET", "NDJSON")
_STATE: Final = "query($id: ID!) { export(id: $id) { state rows bytes url failure } }"
_SAMPLE_S: Final = 0.1
_PART_BYTES: Final = 2**16


class _Watched:
    """What the service's process takes from now on."""

    def __init__(self, calledger: Calledger) -> None:
        self._pid = calledger.pid
        self.before = self.peak = resident_mb(self._pid)
        self.beside = 0.0
        self._cpu, self._begin = own_cpu_seconds(self._pid), time.monotonic()

    def look(self) -> None:
        self.peak = max(self.peak, resident_mb(self._pid))
        self.beside = max([self.beside, *(resident_mb(child) for child in _children(self._pid))])

    def spent(self) -> dict[str, float]:
        self.look()
        cpu, seconds = own_cpu_seconds(self._pid) - self._cpu, time.monotonic() - self._begin
        return {"growth_mb": self.peak - self.before, "cpu_s": cpu, "seconds": seconds, "beside_mb": self.beside}


def _children(pid: int) -> list[int]:
    """The processes that write Parquet for `pid`; the database is another child."""
    try:
        found = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [one for one in found if b"parquet_process" in Path(f"/proc/{one}/cmdline").read_bytes()]
    except OSError:
        return []


def written(calledger: Calledger, key: str, form: str) -> dict[str, Any]:
    """The export when it is ready."""
    watched = _Watched(calledger)
    id_ = ask(calledger.url, key, _CREATE % form)["createExport"]["export"]["id"]
    while True:
        export = ask(calledger.url, key, _STATE, id=id_)["export"]
        if export["state"] not in ("QUEUED", "RUNNING"):
            break
        watched.look()
        time.sleep(_SAMPLE_S)
    if export["state"] != "READY":
        raise SystemExit(f"the export failed: {export['failure']}")
    return export | watched.spent()


def fetched(calledger: Calledger, key: str, export: dict[str, Any]) -> dict[str, float]:
    """The download."""
    request = urllib.request.Request(calledger.url + export["url"], headers={"Authorization": f"Bearer {key}"})
    watched, got = _Watched(calledger), 0
    with urllib.request.urlopen(request, timeout=120) as answer:
        read: Callable[[int], bytes] = answer.read
        while part := read(_PART_BYTES):
            got += len(part)
            watched.look()
    if got != int(export["bytes"]):
        raise SystemExit("the file that was fetched is not the one that was written")
    return watched.spent()


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__, calls=1_000_000).parse_args(arguments)
    calls = calls_of(chosen)
    say(machine())
    with Calledger(fill.folder(calls)) as calledger:
        fill.filled(calledger, calls)
    with Calledger(fill.folder(calls)) as calledger:
        key = calledger.new_key("viewer")
        ask(calledger.url, key, "{ calls(first: 200) { nodes { id model amount { amount } tags { key } } } }")
        exports = {form: written(calledger, key, form) for form in FORMS}
        downloads = {form: fetched(calledger, key, export) for form, export in exports.items()}
    for form, export in exports.items():
        rows, size, fetching = int(export["rows"]), int(export["bytes"]), downloads[form]
        beside = f", {export['beside_mb']:.0f} MB beside it" if export["beside_mb"] else ""
        print(f"{form}: {rows:,} rows, {size / 2**20:.0f} MiB, {export['seconds']:.1f} s, CPU {export['cpu_s']:.1f} s,")
        print(f"    grown by {export['growth_mb']:.0f} MB{beside}; fetched in {fetching['seconds']:.1f} s")
    growth = max(one["growth_mb"] for one in (*exports.values(), *downloads.values()))
    found = [Figure("memory/file", growth, f"{rows:,} rows in each of {len(FORMS)} formats")]
    for form in ("CSV", "PARQUET"):
        export = exports[form]
        by_cpu = f"{rows / export['cpu_s']:,.0f} rows a CPU second of the service"
        found.append(Figure(f"exports/{form.lower()}", rows / export["seconds"], by_cpu))
    return conclude(found, {"exports": exports, "downloads": downloads}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
