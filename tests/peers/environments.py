"""Programs from PyPI whose pins are not ours: each in an environment of its own, made once and kept."""

import subprocess
import sys
import venv
from pathlib import Path

from packages import skipped

ROOT = Path(__file__).resolve().parents[2]


def environment(name: str, *requirements: str | Path) -> Path:
    """The folder `.venv-NAME` with these requirements, as pip takes them; skips the test where they cannot be had.

    Only what is imported is compiled: to compile all of LiteLLM takes three times as long as to install it.
    """
    folder = ROOT / f".venv-{name}"
    if not (folder / "installed").exists():
        venv.create(folder, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q", "--no-compile"]
        done = subprocess.run([*pip, *requirements], check=False, capture_output=True, text=True)
        if done.returncode:
            skipped(f"{name} cannot be installed here: {done.stderr[-300:]}")
        (folder / "installed").touch()
    return folder
