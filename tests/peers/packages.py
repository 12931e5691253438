"""Packages from npm for the tests that run programs in JavaScript, by a lockfile: `tests/clients` has the clients'."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

SOURCES = Path(__file__).resolve().parents[1] / "clients"
INSTALL_S = 240
PROGRAM_S = 120


def run(
    *command: str | Path, folder: Path, environment: Mapping[str, str] | None = None, within_s: int = PROGRAM_S
) -> "subprocess.CompletedProcess[str]":
    """A program, ended with all that it printed where it takes too long."""
    given = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=within_s, check=False)


def skipped(reason: str) -> NoReturn:
    print(reason)
    pytest.skip(reason)


def installed(sources: Path = SOURCES) -> Path:
    """`node_modules` with exactly what the lockfile in a folder names, installed once and kept; none of their scripts
    is run.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        skipped("no npm or node here: clients in JavaScript cannot be installed")
    lock = (sources / "package-lock.json").read_bytes()
    name = f"{sources.name}-{sha256(lock).hexdigest()[:16]}"
    folder = Path(platformdirs.user_cache_dir("calledger-tests", appauthor=False)) / name
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(sources / file, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = run(*command, folder=folder, within_s=INSTALL_S)
        if done.returncode:
            skipped(f"npm could not install the clients: {done.stderr[-300:]}")
        (folder / "installed").touch()
    return folder / "node_modules"
