"""Memory that the processes of one service share: the budgets of API keys.

`serve` with several workers makes it and passes it to them as an open file without a name: it ends with them. Budgets
are changed under a lock of the kernel on their bytes, which is released when a process dies.
"""

import fcntl
import math
import os
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from mmap import mmap
from typing import Final

FD: Final = "CALLEDGER_WORKER_MEMORY"
NUMBER: Final = "CALLEDGER_WORKER_NUMBER"
METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"

_SLOTS: Final = 2**14
"""How many keys can have spent a part of their budget at a time."""
_PROBES: Final = 32
_LEVEL: Final = struct.Struct("=Qdd")
_LEVELS_BYTES: Final = _SLOTS * _LEVEL.size


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """One process's view of the shared memory. `worker`: its number among `workers`, from 0."""

    memory: mmap
    fd: int
    worker: int
    workers: int

    @classmethod
    def inherited(cls, environment: Mapping[str, str]) -> "SharedMemory | None":
        """The memory that a parent has passed on; None when there is no such parent."""
        if FD not in environment:
            return None
        fd, (worker, workers) = int(environment[FD]), map(int, environment[NUMBER].split("/"))
        return cls(mmap(fd, _LEVELS_BYTES), fd, worker, workers)

    def budget(self, key: str, capacity: int) -> "SharedBudget":
        """The budget of `key`, the same for all processes."""
        return SharedBudget(self, key, capacity)

    @contextmanager
    def locked(self, slot: int) -> Iterator[None]:
        """Lock a slot against other processes (-1: the assignment of slots)."""
        offset = _LEVELS_BYTES if slot < 0 else slot * _LEVEL.size
        fcntl.lockf(self.fd, fcntl.LOCK_EX, _LEVEL.size, offset)
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, _LEVEL.size, offset)


class SharedBudget:
    """A budget that falls by what is spent and rises to `capacity` within a minute, in all processes."""

    __slots__ = ("_capacity", "_hash", "_shared", "_slot")

    def __init__(self, shared: SharedMemory, key: str, capacity: int) -> None:
        self._shared = shared
        self._capacity = capacity
        self._hash = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) | 1
        self._slot = self._find_slot()

    def change(self, cost: float, least: float = -math.inf) -> tuple[float, bool]:
        """Spend `cost` (negative: return it) if the budget is at least `least` before.

        Returns the budget then, and whether it was enough. A debt is at most what a minute restores.
        """
        while True:
            with self._shared.locked(self._slot):
                offset = self._slot * _LEVEL.size
                owner, level, filled_at = _LEVEL.unpack_from(self._shared.memory, offset)
                if owner == self._hash:
                    now = time.monotonic()
                    level = min(self._capacity, level + (now - filled_at) * self._capacity / 60)
                    enough = level >= least
                    if enough:
                        level = max(-self._capacity, min(self._capacity, level - cost))
                    _LEVEL.pack_into(self._shared.memory, offset, owner, level, now)
                    return level, enough
            self._slot = self._find_slot()  # the slot was given to another key while this key's budget was full

    def _find_slot(self) -> int:
        """The slot of the key: its own, a free one, or that of the key that was unused for longest."""
        memory, now = self._shared.memory, time.monotonic()
        with self._shared.locked(-1):
            oldest, oldest_at = -1, math.inf
            for probe in range(_PROBES):
                slot = (self._hash // 2 + probe) % _SLOTS
                owner, _, filled_at = _LEVEL.unpack_from(memory, slot * _LEVEL.size)
                if owner == self._hash:
                    return slot
                if owner == 0:
                    oldest = slot
                    break
                if filled_at < oldest_at:
                    oldest, oldest_at = slot, filled_at
            with self._shared.locked(oldest):
                _LEVEL.pack_into(memory, oldest * _LEVEL.size, self._hash, float(self._capacity), now)
            return oldest


@contextmanager
def shared_memory(workers: int) -> Iterator[tuple[int, Sequence[Mapping[str, str]]]]:
    """Make the memory of `workers` processes: its descriptor, and the environment variables for each."""
    with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory(prefix="calledger-metrics-") as metrics:
        file.truncate(_LEVELS_BYTES)
        fd = file.fileno()
        yield fd, [{FD: str(fd), NUMBER: f"{n}/{workers}", METRICS: metrics} for n in range(workers)]


def worker_memory() -> SharedMemory | None:
    """The shared memory of this process; None when it has no parent that made one."""
    return SharedMemory.inherited(os.environ)
