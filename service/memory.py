"""The memory of a process that serves: which objects the garbage collector visits, and how large its pages are.

docs/performance.md has the figures. Nothing depends on any of it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

YOUNG_MAX: Final = 50_000
"""New objects after which the collector looks at the young ones.

That is more than eight reports of 500 calls make. Rows form no cycles and are freed without the collector, so looking
at them is wasted work.
"""
HUGE_PAGE_BYTES: Final = 2 << 20
_MAPPED: Final = Path("/proc/self/maps")
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25
"""Since Linux 6.1; before that the kernel's own thread does it after some time."""


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause garbage collection for a block that loads modules, and ignore the objects that exist at its end.

    Modules stay loaded: the collector would visit their objects again and again, and free nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def expect_rows() -> None:
    """Let the collector ignore the objects made so far, which stay until the process ends, and seldom look at new ones.

    Modules and schema are many objects: each full collection would visit them, during which nothing is answered, and
    free nothing.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])


def expect_requests() -> None:
    """As `expect_rows`, and ask for huge pages for what every request uses."""
    expect_rows()
    # In a thread, because it takes a while; the system calls release the interpreter.
    Thread(target=use_huge_pages, name="huge pages", daemon=True).start()


def use_huge_pages() -> None:
    """Ask Linux for pages of 2 MiB for all of the present heap. Where it has none or refuses, nothing changes.

    The memory of a request is spread over a heap of some 100 MB. With pages of 4 KiB its addresses do not fit into the
    processor's TLB, and every request waits for that; with pages of 2 MiB they do. See madvise(2).
    """
    # Imported here, because commands that end at once import this module too.
    import ctypes

    try:
        madvise = ctypes.CDLL(None).madvise
        mapped = _MAPPED.read_text()
    except (OSError, AttributeError):
        return
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _heap(mapped):
        for advice in (_MADV_HUGEPAGE, _MADV_COLLAPSE):
            madvise(start, end - start, advice)


def _heap(mapped: str) -> Iterator[tuple[int, int]]:
    """Aligned address ranges of writable anonymous memory; `mapped` is the text of /proc/self/maps (proc(5))."""
    for line in mapped.splitlines():
        addresses, permissions, _, _, _, *path = line.split()
        if permissions == "rw-p" and path in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in addresses.split("-"))
            first, last = -(-start // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES, end // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
            if first < last:
                yield first, last
