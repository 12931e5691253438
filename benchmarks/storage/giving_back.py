"""How long a flush waits on this disk while a large file is deleted in steps; no database takes part.

A file system that discards what it frees (ext4 mounted with `discard`) has the disk busy with an extent, of up to
128 MB, until it is done, and a flush of any other file waits behind it.
"""

import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

_ROUNDS: Final = 5
_CHUNK: Final = b"\1" * 2**20
_PAGE: Final = b"\2" * 8192
_BEFORE_S: Final = 0.3
_AFTER_S: Final = 0.3


def worst_flushes(folder: Path, size: int) -> list[float]:
    """Milliseconds of each round's longest flush of 8 KB, as of a log, while a file of `size` bytes goes."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return [_worst_flush(Path(name), size) for _ in range(_ROUNDS)]


def describe(waits: list[float], size: int) -> str:
    """One line about `worst_flushes`."""
    median, worst = statistics.median(waits), max(waits)
    return f"the disk alone, giving back {size / 1e6:,.0f} MB: a flush waits {median:.0f} ms, at worst {worst:.0f}"


def _worst_flush(folder: Path, size: int) -> float:
    large, log = folder / "large", os.open(folder / "log", os.O_RDWR | os.O_CREAT)
    _write(large, size)
    os.pwrite(log, _CHUNK, 0)
    os.fsync(log)
    giving_back = threading.Thread(target=_give_back, args=(large,))
    giving_back.start()
    waits = [_flush(log)]
    while giving_back.is_alive():
        waits.append(_flush(log))
    os.close(log)
    return 1000 * max(waits)


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(max(1, size // len(_CHUNK))):
            file.write(_CHUNK)
        os.fsync(file.fileno())


def _give_back(path: Path) -> None:
    """As PostgreSQL does it: cut, then unlinked."""
    time.sleep(_BEFORE_S)
    os.truncate(path, 0)
    path.unlink()
    time.sleep(_AFTER_S)


def _flush(log: int) -> float:
    time.sleep(0.002)
    begin = time.perf_counter()
    os.pwrite(log, _PAGE, 0)
    os.fdatasync(log)
    return time.perf_counter() - begin
