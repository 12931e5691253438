"""Linux's pages of 2 MiB for the heap of a process: an optimisation that nothing depends on.

The memory of a request is spread over a heap of some 100 MB. With pages of 4 KiB its addresses do not fit into the
processor's TLB, and every request waits for that; with pages of 2 MiB they do. See madvise(2).
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HUGE: Final = 2 << 20
_MAPPED: Final = Path("/proc/self/maps")
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25
"""Since Linux 6.1; before that the kernel's own thread does it after some time."""


def use_huge_pages() -> None:
    """Ask for huge pages for all of the present heap. Where the kernel has none or refuses, nothing changes."""
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
            first, last = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if first < last:
                yield first, last
