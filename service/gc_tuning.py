"""The garbage collector while many modules are loaded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
