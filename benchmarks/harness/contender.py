"""A peer's server as a process, for as long as a benchmark needs it."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.places import FOLDER, ROOT


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int


@contextmanager
def running(name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> Iterator[Server]:
    """The server of `command`, once it has printed `ready URL`."""
    log = FOLDER / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                break
        else:
            raise SystemExit(f"{name} did not start: {log.read_text()[-2000:]}")
        yield Server(line.removeprefix("ready ").strip(), process.pid)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
