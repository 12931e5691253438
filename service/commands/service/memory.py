"""Memory settings of a process that serves: objects made during the start stay until it ends."""

from threading import Thread

from service.commands.common import say
from service.commands.service.huge_pages import use_huge_pages
from service.gc_tuning import expect_rows


def say_ready(line: str) -> None:
    """Print that the service has started, once the garbage collector ignores the objects made so far."""
    expect_rows()
    say(line)
    # In a thread, because it takes a while; the system calls release the interpreter.
    Thread(target=use_huge_pages, name="huge pages", daemon=True).start()
