"""How the service grows, and what it spends, while a key's export of a million calls is written and fetched.

`createExport` as NDJSON by a viewer's key, polled until it is ready, then downloaded and thrown away.
"""

import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, Final

from benchmarks import fill
from benchmarks.bars import Figure, conclude
from benchmarks.calledger import Calledger, ask
from benchmarks.options import calls_of, parser
from benchmarks.places import say
from benchmarks.processes import machine, own_cpu_seconds, resident_mb

_CREATE: Final = "mutation { createExport(input: {kind: CALLS, format: NDJSON}) { export { id } } }"
_STATE: Final = "query($id: ID!) { export(id: $id) { state rows bytes url failure } }"
_SAMPLE_S: Final = 0.1
_PART_BYTES: Final = 2**16


class _Watched:
    """What the service's process takes from now on."""

    def __init__(self, house: Calledger) -> None:
        self._pid = house.pid
        self.before = self.peak = resident_mb(self._pid)
        self._cpu, self._begin = own_cpu_seconds(self._pid), time.monotonic()

    def look(self) -> None:
        self.peak = max(self.peak, resident_mb(self._pid))

    def spent(self) -> dict[str, float]:
        self.look()
        cpu, seconds = own_cpu_seconds(self._pid) - self._cpu, time.monotonic() - self._begin
        return {"growth_mb": self.peak - self.before, "cpu_s": cpu, "seconds": seconds}


def written(house: Calledger, key: str) -> dict[str, Any]:
    """The export when it is ready."""
    id_ = ask(house.url, key, _CREATE)["createExport"]["export"]["id"]
    watched = _Watched(house)
    while True:
        export = ask(house.url, key, _STATE, id=id_)["export"]
        if export["state"] not in ("QUEUED", "RUNNING"):
            break
        watched.look()
        time.sleep(_SAMPLE_S)
    if export["state"] != "READY":
        raise SystemExit(f"the export failed: {export['failure']}")
    return export | watched.spent()


def fetched(house: Calledger, key: str, export: dict[str, Any]) -> dict[str, float]:
    """The download."""
    request = urllib.request.Request(house.url + export["url"], headers={"Authorization": f"Bearer {key}"})
    watched, got = _Watched(house), 0
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
    with Calledger(fill.folder(calls)) as house:
        fill.filled(house, calls)
    with Calledger(fill.folder(calls)) as house:
        key = house.new_key("viewer")
        ask(house.url, key, "{ calls(first: 200) { nodes { id model amount { amount } tags { key } } } }")
        export = written(house, key)
        download = fetched(house, key, export)
    rows, size = int(export["rows"]), int(export["bytes"])
    print(f"written: {rows:,} rows, {size / 2**20:.0f} MiB, in {export['seconds']:.0f} s, CPU {export['cpu_s']:.1f} s")
    print(f"fetched: in {download['seconds']:.1f} s, CPU {download['cpu_s']:.2f} s")
    growth = max(export["growth_mb"], download["growth_mb"])
    found = [Figure("memory/file", growth, f"{rows:,} rows; {rows / export['cpu_s']:,.0f} rows a CPU second")]
    return conclude(found, {"export": export, "download": download}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
