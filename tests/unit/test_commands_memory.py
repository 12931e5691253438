"""What a process that serves spares the garbage collector, and the processor."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.commands.service import huge_pages
from service.gc_tuning import YOUNG_MAX

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_BYTES = """
import threading
import service.server.application
from service.commands.service.memory import say_ready

def kilobytes():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages:"))

before = kilobytes()
say_ready("ready")
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
from service.commands.service.memory import say_ready

say_ready("ready")
print(gc.get_threshold()[0], len(gc.get_objects()), gc.get_freeze_count())
"""


def test_the_collector_leaves_alone_what_the_start_made() -> None:
    """Once ready, nearly all objects are out of the collector's sight, and young ones are looked at less often."""
    said = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True).stdout.split()

    ready, young, seen, frozen = said
    assert (ready, int(young)) == ("ready", YOUNG_MAX)
    assert int(seen) < 1_000 < 50_000 < int(frozen)


def test_so_it_does_where_rows_of_an_import_are_read() -> None:
    """In the process that reads them, from the first one on."""
    said = subprocess.run([sys.executable, "-c", READING], capture_output=True, text=True, check=True).stdout.split()

    young, seen = map(int, said)
    assert young == YOUNG_MAX
    assert seen < 1_000


@pytest.mark.skipif(not HUGE_PAGES.is_file() or "[never]" in HUGE_PAGES.read_text(), reason="Linux has no huge pages")
def test_what_the_start_made_lies_in_huge_pages() -> None:
    """Once ready, most of the heap is in pages of 2 MiB."""
    said = subprocess.run([sys.executable, "-c", HUGE_BYTES], capture_output=True, text=True, check=True).stdout.split()

    ready, before, after = said
    assert ready == "ready"
    assert int(after) >= int(before) + 16 * 1024


@pytest.mark.parametrize(
    "mapped", ["", "7f00-7f01 rw-p 00000000 00:00 0\n", "0-200000 r-xp 00000000 fe:00 12 /bin/true\n"]
)
def test_only_whole_huge_pages_of_the_heap_are_asked_for(mapped: str) -> None:
    """Nothing of a file, and nothing that is smaller than a page."""
    assert list(huge_pages._heap(mapped)) == []
    heap = "00201000-00a00fff rw-p 00000000 00:00 0 [heap]\n"
    assert list(huge_pages._heap(mapped + heap)) == [(0x400000, 0xA00000)]


def test_a_system_without_them_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `/proc` and no `madvise`: the service starts all the same."""
    monkeypatch.setattr(huge_pages, "_MAPPED", tmp_path / "missing")
    huge_pages.use_huge_pages()
