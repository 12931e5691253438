"""`.ci/pytest`: few tests that failed beside others run once more, alone, and nothing else is made good by that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BESIDE = """
import os
import pathlib

import pytest

def again(name):
    made = pathlib.Path(name)
    return made.exists() or made.touch()

def test_beside_others():
    assert again("failed-once")
"""
MORE = """
def test_other():
    pass
"""
ALWAYS = """
def test_of_a_fault():
    assert False
"""
MANY = """
@pytest.mark.parametrize("number", range(3))
def test_number(number):
    assert again(f"failed-{number}")
"""
CRASH = """
def test_of_a_crash():
    if not again("crashed"):
        os._exit(1)
"""
MARKED = """
def test_with_an_option(pytestconfig):
    assert pytestconfig.getoption("keyword") != "test"
"""
UNREADABLE = "import nothing_of_this_name"


def run(folder: Path, text: str, *options: str) -> tuple[int, str]:
    """Exit code and words of a run of a file of tests."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "conftest.py").write_text("from broken_off import pytest_handlecrashitem, pytest_sessionfinish\n")
    (folder / "test_it.py").write_text(text)
    (folder / "test_more.py").write_text(MORE)
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "tests"), **plugins}
    command = ["sh", str(ROOT / ".ci/pytest"), *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


TWO = ("-n", "2", "--dist", "loadfile")


def test_what_passes_alone_is_named_and_lets_the_run_pass(tmp_path: Path) -> None:
    code, said = run(tmp_path, BESIDE, *TWO)
    assert code == 0
    assert said.endswith("Look at it:\ntest_it.py::test_beside_others\n")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (BESIDE + ALWAYS, TWO),
        (BESIDE + MANY, TWO),
        (BESIDE + CRASH, TWO),
        (BESIDE + CRASH, ("-n", "0")),
        (BESIDE + MARKED, (*TWO, "-k", "test")),
        (BESIDE, ("-n", "0", "-x")),
        (BESIDE, (*TWO, "-x")),
        (UNREADABLE, TWO),
    ],
    ids=[
        "fails again",
        "four",
        "a crash",
        "the only process ends",
        "by its options",
        "-x",
        "-x of workers",
        "no module",
    ],
)
def test_nothing_else_is_made_good(tmp_path: Path, text: str, options: tuple[str, ...]) -> None:
    """A fault, many failures, a process that crashed, and a run that did not run all of its tests fail."""
    code, said = run(tmp_path, text, *options)
    assert code != 0, said
    assert "passed alone" not in said


def test_failures_of_an_earlier_run_are_no_matter(tmp_path: Path) -> None:
    """Neither tests that are gone since nor those that this run leaves out."""
    cache = tmp_path / ".pytest_cache/v/cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text('{"test_gone.py::test_gone": true}')
    assert run(tmp_path, BESIDE, *TWO)[0] == 0
