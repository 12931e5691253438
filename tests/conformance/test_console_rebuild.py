"""The console's source, built anew: types, rules and its own tests pass, and the same bytes come out. And the wheel."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packages import skipped

ROOT = Path(__file__).resolve().parents[2]
BUILD_S = 240


def program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, ROOT / ".ci" / "console", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if "`npm ci" in done.stderr and re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT", done.stderr):
        skipped(f"npm could not install the console's packages: {done.stderr[-300:]}")
    return done


@pytest.mark.timeout(600)
def test_the_source_builds_to_what_is_committed() -> None:
    """Byte for byte, with the packages of the lockfile."""
    done = program("--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-3000:]


@pytest.mark.timeout(600)
def test_the_source_passes_its_own_checks() -> None:
    """The types of TypeScript, the rules of its linter, and the tests of its pure parts."""
    done = program("--test")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_a_wheel_has_the_console_and_not_its_source(tmp_path: Path) -> None:
    """What `pip install` brings is built: the page with each file that it names, and nothing of the source."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if "No matching distribution found for hatchling" in done.stderr:
        skipped("PyPI cannot be reached: hatchling builds the wheel")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        page = archive.read("service/console/dist/index.html").decode()
    named = re.findall(r'(?:src|href)="\./([^"]+)"', page)
    assert len(named) >= 3
    assert {f"service/console/dist/{name}" for name in named} <= set(names)
    built = {path.relative_to(ROOT).as_posix() for path in (ROOT / "service/console/dist").rglob("*") if path.is_file()}
    assert built <= set(names)
    assert [name for name in names if "console/app" in name or "node_modules" in name] == []
