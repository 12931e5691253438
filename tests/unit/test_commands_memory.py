"""What a process that serves spares the garbage collector."""

import subprocess
import sys

from service.commands.memory import YOUNG_MAX

STARTED = """
import gc
import service.app
from service.commands.memory import say_ready

say_ready("ready")
print(gc.get_threshold()[0], len(gc.get_objects()), gc.get_freeze_count())
"""


def test_the_collector_leaves_alone_what_the_start_made() -> None:
    """Once ready, nearly all objects are out of the collector's sight, and young ones are looked at less often."""
    said = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True).stdout.split()

    ready, young, seen, frozen = said
    assert (ready, int(young)) == ("ready", YOUNG_MAX)
    assert int(seen) < 1_000 < 50_000 < int(frozen)
