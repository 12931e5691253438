"""`calledger` commands without what importing the service costs: forks of a process that has done so.

Each is a process of its own, with its arguments, streams, folder, environment and exit code. What a fork cannot show,
that a command imports all that it needs, `running.fresh_command` does.

Run as a script this is the process that forks. Over a socket it takes a byte a command, and with it the open files
of what is wanted, standard input, output and error, and a pipe for the exit code. It ends when the socket is closed.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

TIMEOUT_S = 120
FILES = 5
ONE_PARENT = Lock()


def run(
    arguments: Sequence[str], *, stdin: str, environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`. A negative exit code is the signal that ended it: SIGALRM after `TIMEOUT_S`."""
    wanted = {"arguments": arguments, "environment": dict(environment), "folder": str(folder or Path.cwd())}
    with (
        file_of(json.dumps(wanted)) as order,
        file_of(stdin) as given,
        file_of("") as output,
        file_of("") as errors,
    ):
        code = exit_code(order, given, output, errors)
        return subprocess.CompletedProcess(list(arguments), code, content(output), content(errors))


def file_of(text: str) -> IO[str]:
    file = TemporaryFile("w+")  # noqa: SIM115 - closed by who asks for it
    file.write(text)
    file.seek(0)
    return file


def content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def exit_code(*files: IO[str]) -> int:
    ending, told = os.pipe()
    with ONE_PARENT:
        orders = parent()
    with os.fdopen(ending) as answer:
        socket.send_fds(orders, [b"c"], [*(file.fileno() for file in files), told])
        os.close(told)
        return int(answer.read())


@cache
def parent() -> socket.socket:
    """The way to the process that forks, which is started on first use."""
    ours, theirs = socket.socketpair()
    arguments = [sys.executable, __file__, str(theirs.fileno())]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def become_command(orders: socket.socket) -> None:
    """Return in each process that is to be a command, with everything set for it."""
    while True:
        byte, files, _, _ = socket.recv_fds(orders, 1, FILES)
        if not byte:
            sys.exit()
        if os.fork() == 0:
            *files, told = files
            command = os.fork()
            if command == 0:
                os.close(told)
                orders.close()
                return dress(*files)
            _, status = os.waitpid(command, 0)
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        for file in files:
            os.close(file)
        reap()


def reap() -> None:
    """Let go of those that waited for a command and have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def dress(order: int, *streams: int) -> None:
    """Take on what a command is given."""
    signal.alarm(TIMEOUT_S)
    with os.fdopen(order) as file:
        wanted = json.load(file)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    sys.argv[1:] = wanted["arguments"]


def main(orders: int) -> None:
    for module in (Path(__file__).parents[1] / "service" / "commands").glob("[a-z]*.py"):
        import_module(f"service.commands.{module.stem}")
    become_command(socket.socket(fileno=orders))
    runpy.run_module("service", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
