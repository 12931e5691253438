"""Memory settings of a process that serves: objects made during the start stay until it ends."""

import gc
from threading import Thread
from typing import Final

from service.commands.common import say
from service.commands.service.huge_pages import use_huge_pages

YOUNG_MAX: Final = 50_000
"""New objects after which the collector looks at the young ones.

That is more than eight reports of 500 calls make. Rows form no cycles and are freed without the collector, so looking
at them is wasted work; docs/performance.md says how much.
"""


def say_ready(line: str) -> None:
    """Print that the service has started, once the garbage collector ignores the objects made so far.

    Modules and schema are many objects: each full collection would visit them, during which nothing is answered, and
    free nothing. docs/performance.md has the figures.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    say(line)
    # In a thread, because it takes a while; the system calls release the interpreter.
    Thread(target=use_huge_pages, name="huge pages", daemon=True).start()
