"""Linux's pages of 2 MiB for what a process has made: an optimisation that nothing depends on.

What a request touches lies all over some 100 MB of heap. In pages of 4 KiB the processor's table of addresses (TLB)
does not hold them, and every request waits for it again and again; in pages of 2 MiB it does. See madvise(2).
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HUGE: Final = 2 << 20
_MAPPED: Final = Path("/proc/self/maps")
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25
"""From Linux 6.1; before that the kernel's own thread gets there in time."""


def use_huge_pages() -> None:
    """Ask for them, for all of the heap as it is. Where the kernel has none or refuses, everything stays as it is."""
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
    """Where huge pages fit into anonymous memory that is written to; `mapped` is as proc(5) says."""
    for line in mapped.splitlines():
        addresses, permissions, _, _, _, *path = line.split()
        if permissions == "rw-p" and path in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in addresses.split("-"))
            first, last = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if first < last:
                yield first, last
