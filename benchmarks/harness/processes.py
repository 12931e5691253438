"""CPU and memory of processes, from /proc."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    # The name, in parentheses, may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                queue += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """CPU of the process and its descendants so far; of those that have ended to a tick (10 ms), else exactly."""
    total = 0.0
    for one in children(pid):
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            # cutime and cstime: children that have ended and were waited for.
            total += sum(map(int, _stat(one)[13:15])) / _TICKS
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def own_cpu_seconds(pid: int) -> float:
    """CPU of the process alone, all its threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def resident_mb(pid: int) -> float:
    """Resident memory of the process, in 10^6 bytes."""
    return _status_kb(pid, "VmRSS") * 1024 / 1e6


def peak_mb(pid: int) -> float:
    return _status_kb(pid, "VmHWM") * 1024 / 1e6


def proportional_mb(pids: Iterable[int]) -> float:
    """Memory of processes that share some of it (PSS), in 10^6 bytes."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return total * 1024 / 1e6


def _status_kb(pid: int, name: str) -> int:
    return int(re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def machine() -> str:
    """What the figures were taken on, in a line."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = int(re.search(r"(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {model[1] if model else os.uname().machine}, {memory:.0f} GB, "
        f"Linux {os.uname().release}, load {load:.1f} at the start"
    )
