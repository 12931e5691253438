"""Where the benchmarks keep what they make: data, results, and environments of the peers. Git ignores all of it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / ".benchmarks"
RESULTS: Final = FOLDER / "results"
TESTS: Final = [str(ROOT / "tests" / name) for name in ("", "peers", "reports", "services", "stores")]
"""Where what tests share is imported from, as pytest's `pythonpath` has it."""
POSTGRAPHILE: Final = ROOT / "benchmarks" / "peers" / "postgraphile"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def environment(name: str, *packages: str) -> Path:
    """The Python of `.venv-NAME`, which is made and filled when it is not there."""
    folder = ROOT / f".venv-{name}"
    python = folder / "bin" / "python"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text().split() != list(packages):
        say(f"installing {', '.join(packages)} into {folder.name} (once) ...")
        _run([sys.executable, "-m", "venv", folder])
        _run([python, "-m", "pip", "install", "--quiet", *packages])
        mark.write_text("\n".join(packages))
    return python


def node() -> Path:
    """A Node new enough for PostGraphile, which is installed beside it."""
    program = POSTGRAPHILE / "node_modules" / "node" / "bin" / "node"
    if not program.exists():
        say("installing PostGraphile 5 and a Node of its own from npm (once) ...")
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(["npm", "install", *options], cwd=POSTGRAPHILE)
    return program


def _run(command: Sequence[str | Path], cwd: Path | None = None) -> None:
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr[-4000:]}")
