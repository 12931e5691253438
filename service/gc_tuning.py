"""The garbage collector while many modules are loaded, and once they are, in a process through which many rows pass."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_MAX: Final = 50_000
"""New objects after which the collector looks at the young ones.

That is more than eight reports of 500 calls make. Rows form no cycles and are freed without the collector, so looking
at them is wasted work; docs/performance.md says how much.
"""


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
    free nothing. docs/performance.md has the figures.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
