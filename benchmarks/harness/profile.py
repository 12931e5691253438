"""Where a process's time goes, sampled by py-spy from outside while it works."""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.places import environment

_SHOWN = {"own": 40, "all": 70}
# A thread that waits for work is sometimes taken for busy; and what everything runs in says nothing.
_IDLE = "_worker (concurrent/futures/thread.py)"
_EVERYTHING = 0.9


@contextmanager
def recorded(pid: int, seconds: float) -> Iterator[None]:
    """Sample the process for `seconds` from now on; print its busiest functions once the block and the sampling end."""
    program = environment("py-spy", "py-spy").with_name("py-spy")
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        options = ["--format", "raw", "--rate", "500", "--duration", str(seconds), "--output", stacks]
        sampler = subprocess.Popen(
            [program, "record", "--pid", str(pid), *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        yield
        _, errors = sampler.communicate()
        if sampler.returncode:
            raise SystemExit(f"py-spy failed: {errors.decode()[-1000:]}")
        show(stacks.read_text())


def show(stacks: str) -> None:
    """The busiest functions: `own` without what they call, `all` with it; shares of the samples."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        names = [_function(frame) for frame in frames.split(";")]
        if names[-1] == _IDLE:
            continue
        total += int(count)
        own[names[-1]] += int(count)
        for name in set(names):
            whole[name] += int(count)
    for title, counter in (("own", own), ("all", whole)):
        print(f"{title:>6}  of {total} samples")
        telling = [(name, count) for name, count in counter.most_common() if count < _EVERYTHING * total]
        for name, count in telling[: _SHOWN[title]]:
            print(f"{count / total:6.1%}  {name}")


def _function(frame: str) -> str:
    """`name (file:line)` without the line, the file from the package on."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    return f"{name} ({path.rpartition('site-packages/')[2]})"
