"""The time limit of the tests themselves: a suite that hangs says nothing."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CONFTEST = """
import sys
sys.path.insert(0, {tests!r})
import time_limits
time_limits.GRACE_S = 1
from time_limits import pytest_runtest_protocol, pytest_timeout_set_timer
"""
HANGS = """
import asyncio, time
import pytest

async def waits_for_the_database():
    await asyncio.Event().wait()

@pytest.mark.asyncio
async def test_waits():
    await asyncio.create_task(waits_for_the_database(), name="a reader")

def test_computes():
    while True:
        time.sleep(0.01)

def test_is_quick():
    pass
"""
NEVER_ENDS = """
import asyncio
import pytest

async def swallows():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@pytest.mark.asyncio
async def test_swallows():
    await asyncio.create_task(swallows(), name="a loop without an end")
"""


def run(folder: Path, tests: str) -> tuple[int, str]:
    """pytest's exit code and output for a file of tests that may take a second each."""
    (folder / "conftest.py").write_text(CONFTEST.format(tests=str(TESTS)))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "--timeout=1", "-p", "no:cacheprovider", folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_test_past_its_limit_fails_and_says_where_everything_stands(tmp_path: Path) -> None:
    """The task that waits, the function in which it waits, the thread that computes; the next test runs."""
    code, said = run(tmp_path, HANGS)
    assert code == 1
    assert "not done after 1 s" in said
    assert "waits_for_the_database" in said
    assert "a reader" in said
    assert "time.sleep(0.01)" in said
    assert "2 failed, 1 passed" in said


def test_a_test_that_cannot_be_ended_ends_its_process(tmp_path: Path) -> None:
    """A task that swallows its cancellation keeps no run open, and is named."""
    code, said = run(tmp_path, NEVER_ENDS)
    assert code == 1
    assert "test_swallows did not end" in said
    assert "a loop without an end" in said
