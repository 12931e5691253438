"""How a process that serves uses its memory: what the garbage collector leaves alone, and pages of 2 MiB."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from service import memory
from service.memory import YOUNG_MAX, collection_paused

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_BYTES = """
import threading
import service.server.application
from service.memory import expect_requests

def kilobytes():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages:"))

before = kilobytes()
expect_requests()
for thread in threading.enumerate():
    if thread.name == "huge pages":
        thread.join()
print(before, kilobytes())
"""

READING = """
import gc
import io
from service.imports.reading import serve

serve(io.BytesIO(), io.BytesIO())
print(gc.get_threshold()[0], len(gc.get_objects()))
"""

STARTED = """
import gc
import service.server.application
from service.memory import expect_requests

expect_requests()
print(gc.get_threshold()[0], len(gc.get_objects()), gc.get_freeze_count())
"""


def figures(program: str) -> list[int]:
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return list(map(int, said.split()))


def test_the_collector_rests_only_while_modules_load() -> None:
    """It is off inside the block and on behind it, where it leaves alone what is there; also when a module fails."""
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
    with pytest.raises(ImportError), collection_paused():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_the_collector_leaves_alone_what_the_start_made() -> None:
    """Once ready, nearly all objects are out of the collector's sight, and young ones are looked at less often."""
    young, seen, frozen = figures(STARTED)
    assert young == YOUNG_MAX
    assert seen < 1_000 < 50_000 < frozen


def test_so_it_does_where_rows_of_an_import_are_read() -> None:
    """In the process that reads them, from the first one on."""
    young, seen = figures(READING)
    assert young == YOUNG_MAX
    assert seen < 1_000


@pytest.mark.skipif(not HUGE_PAGES.is_file() or "[never]" in HUGE_PAGES.read_text(), reason="Linux has no huge pages")
def test_what_the_start_made_lies_in_huge_pages() -> None:
    """Once ready, most of the heap is in pages of 2 MiB."""
    before, after = figures(HUGE_BYTES)
    assert after >= before + 16 * 1024


@pytest.mark.parametrize(
    "mapped", ["", "7f00-7f01 rw-p 00000000 00:00 0\n", "0-200000 r-xp 00000000 fe:00 12 /bin/true\n"]
)
def test_only_whole_huge_pages_of_the_heap_are_asked_for(mapped: str) -> None:
    """Nothing of a file, and nothing that is smaller than a page."""
    assert list(memory._heap(mapped)) == []
    heap = "00201000-00a00fff rw-p 00000000 00:00 0 [heap]\n"
    assert list(memory._heap(mapped + heap)) == [(0x400000, 0xA00000)]


def test_a_system_without_them_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `/proc` and no `madvise`: the service starts all the same."""
    monkeypatch.setattr(memory, "_MAPPED", tmp_path / "missing")
    memory.use_huge_pages()
