"""A time limit per test that says where every task stood, and that ends even a test that does not end.

pytest-timeout reads the limits (`timeout` in pyproject.toml, `@pytest.mark.timeout(SECONDS)`) and calls these hooks.
"""

import asyncio
import io
import os
import signal
import sys
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import pytest

GRACE_S = 60
"""How long a test that was failed for its time may take to tidy up; then its process ends."""
_FRAMES = 12


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    def expired(*_: object) -> None:
        stand = "\n".join(where_all_stand())
        if item.stash.get(_EXPIRED, False):
            _end_process(item, stand)
        item.stash[_EXPIRED] = True
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        pytest.fail(f"not done after {settings.timeout:g} s\n{stand}", pytrace=False)

    def cancel() -> None:
        # pytest-timeout asks for it as soon as the test has failed, before it has tidied up.
        if not item.stash.get(_EXPIRED, False):
            signal.setitimer(signal.ITIMER_REAL, 0)

    item.cancel_timeout = cancel  # type: ignore[attr-defined] - where pytest-timeout looks for it
    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Whatever happened to a test, its limit does not reach into the next."""
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_EXPIRED = pytest.StashKey[bool]()


def where_all_stand() -> Iterator[str]:
    """The stack of each thread, and of each task of the loop that runs in this one, innermost frame last."""
    for ident, frame in sys._current_frames().items():
        yield f"--- thread {ident}"
        yield from (line.rstrip() for line in traceback.format_stack(frame)[-_FRAMES:])
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs here
        return
    for task in tasks:
        text = io.StringIO()
        task.print_stack(limit=_FRAMES, file=text)
        yield f"--- {text.getvalue().rstrip()}"


def _end_process(item: pytest.Item, stand: str) -> None:
    """A task that swallows its cancellation would keep the event loop of the test open for ever."""
    capture = item.config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    sys.stderr.write(f"\n{item.nodeid} did not end {GRACE_S} s after its time limit\n{stand}\n")
    sys.stderr.flush()
    os._exit(1)
