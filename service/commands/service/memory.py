"""Memory of a process that serves: what it made while it started stays until it ends."""

import gc
from threading import Thread
from typing import Final

from service.commands.common import say
from service.commands.service.huge_pages import use_huge_pages

YOUNG_MAX: Final = 50_000
"""Objects that may be alive more than before until the collector looks at the young ones.

That is more than eight reports of 500 calls under way make. Rows are no cycles and go by themselves: whatever of them
the collector walks meanwhile, it walks for nothing (with 10,000 for 2.7 us a call).
"""


def say_ready(line: str) -> None:
    """Say that the service has started, once the garbage collector leaves alone what that took.

    Modules and schema are some 130,000 objects: each full collection would walk them, for 90 ms in which nothing is
    answered, and find nothing.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    say(line)
    # It takes a tenth of a second and lets others run meanwhile.
    Thread(target=use_huge_pages, name="huge pages", daemon=True).start()
