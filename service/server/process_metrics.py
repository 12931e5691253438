"""What each worker process takes of the machine, read from `/proc` when it is asked for; elsewhere nothing.

The client library has such figures of its own process alone, and none where several share one set of metrics.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of the metrics that several processes share."""
_PROC: Final = Path("/proc")
_PREFIX: Final = "calledger_process"
_LABELS: Final = ("pid",)
# Places in /proc/PID/stat behind the name in brackets, which may hold anything.
_PARENT, _USER_TIME, _SYSTEM_TIME, _STARTED, _RESIDENT_PAGES = 1, 11, 12, 19, 21


class _Usage(NamedTuple):
    """What one process uses. `started_at`: seconds since 1970."""

    pid: int
    parent: int
    cpu_s: float
    resident_bytes: int
    open_files: int
    started_at: float


class ProcessCollector(Collector):
    """Gauges of every worker that shares this process's metrics, and of this process."""

    def collect(self) -> Iterable[Metric]:
        """One sample a process, by its `pid`."""
        cpu = CounterMetricFamily(f"{_PREFIX}_cpu_seconds", "CPU time of a worker process", labels=_LABELS)
        resident = GaugeMetricFamily(
            f"{_PREFIX}_resident_memory_bytes", "Resident memory of a worker process", labels=_LABELS
        )
        files = GaugeMetricFamily(f"{_PREFIX}_open_fds", "Open file descriptors of a worker process", labels=_LABELS)
        started = GaugeMetricFamily(
            f"{_PREFIX}_start_time_seconds", "When a worker process began, in seconds since 1970", labels=_LABELS
        )
        for usage in _usages():
            pid = (str(usage.pid),)
            cpu.add_metric(pid, usage.cpu_s)
            resident.add_metric(pid, usage.resident_bytes)
            files.add_metric(pid, usage.open_files)
            started.add_metric(pid, usage.started_at)
        return (cpu, resident, files, started)


def _usages() -> Iterator[_Usage]:
    own = os.getpid()
    for pid in sorted({own, *_sharing()}):
        usage = _usage(pid)
        # A worker that has gone leaves its file, and its number may be another process's by now.
        if usage is not None and (pid == own or usage.parent == os.getppid()):
            yield usage


def _sharing() -> Iterator[int]:
    """Processes that have written into the shared metrics: each names its files after itself."""
    folder = os.environ.get(METRICS)
    for path in Path(folder).glob("*_*.db") if folder else ():
        number = path.stem.rpartition("_")[2]
        if number.isdecimal():
            yield int(number)


def _usage(pid: int) -> _Usage | None:
    """None for a process that has gone, or that cannot be looked at here."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return _Usage(
            pid,
            int(fields[_PARENT]),
            (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / ticks,
            int(fields[_RESIDENT_PAGES]) * page,
            sum(1 for _ in (_PROC / str(pid) / "fd").iterdir()),
            _booted_at() + int(fields[_STARTED]) / ticks,
        )
    except (OSError, ValueError, IndexError):
        return None


def _booted_at() -> float:
    for line in (_PROC / "stat").read_text("ascii").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime":
            return float(value)
    raise ValueError
