"""Runs that did not run all tests as they should: `.ci/pytest` runs failed tests once more, and these are another matter.

A process of tests that crashed may be our code's fault, and so it is no test that failed. A run that was told to stop at
a failure (`-x`) says nothing of the tests behind it.
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
