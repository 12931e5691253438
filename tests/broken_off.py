"""Runs in which not all tests ran as they should. `.ci/pytest` runs failed tests once more: these are another matter.

A process of tests that crashed may be a fault of our code, and so no test has failed. A run that was told to stop at a
failure (`-x`) says nothing of the tests that were to come.
"""

from typing import Any

import pytest

_CRASHED = pytest.StashKey[bool]()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_handlecrashitem(sched: Any) -> None:
    sched.config.stash[_CRASHED] = True


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # what a worker finishes is part of a run
    is_whole = not (session.shouldfail or session.shouldstop or session.config.stash.get(_CRASHED, False))
    if session.exitstatus == pytest.ExitCode.TESTS_FAILED and not is_whole:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
