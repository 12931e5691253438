"""Runs `calledger` commands, also `serve`, as forks of a process that has imported the service: importing it is dear.

Each is a process of its own, with its arguments, streams, folder, environment and exit code. What a fork cannot show,
that a command imports all that it needs, `running.fresh_command` and `RunningService(is_fresh=True)` do.

Run as a script this is the process that forks. Over a socket it takes a byte a command, and with it the open files
of what is wanted, standard input, output and error, and a pipe, for the id of the process and then its exit code. It
ends when the socket is closed.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any

TIMEOUT_S = 120
FILES = 5
# What `serve` imports, and what its libraries do, when it needs it.
ON_START = (
    "service.server.lifecycle",
    "service.commands.failures",
    "service.api.http",
    "service.api.sdl",
    "tortoise.backends.asyncpg",
    "uvloop",
)
ONE_PARENT = Lock()


class Process:
    """A command that runs, as `subprocess.Popen` has it."""

    def __init__(self, answer: IO[str], stdout: IO[str]) -> None:
        self.stdout, self.returncode = stdout, None
        self._answer = answer
        self.pid = int(answer.readline())

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0)
            with self._answer as answer:
                self.returncode = int(answer.readline())
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended: its exit code may be on the way still."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str], *, stdin: str, environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`. A negative exit code is the signal that ended it: SIGALRM after `TIMEOUT_S`."""
    with file_of(stdin) as given, file_of("") as output, file_of("") as errors:
        with answer_of(order_for(arguments, environment, folder, TIMEOUT_S), given, output, errors) as answer:
            code = int(answer.read().split()[1])
        return subprocess.CompletedProcess(list(arguments), code, content(output), content(errors))


def start(
    arguments: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes], program: Path | None = None
) -> Process:
    """Start a command that says on standard output what is read of the process's `stdout`, and the rest in `log`.
    `program`: a file of Python that is run in place of the command.
    """
    reading, writing = os.pipe()
    with Path(os.devnull).open() as nothing, os.fdopen(writing, "w") as output:
        answer = answer_of(order_for(arguments, environment, None, 0, program), nothing, output, log)
    return Process(answer, os.fdopen(reading))


def order_for(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | None,
    timeout_s: int,
    program: Path | None = None,
) -> Mapping[str, Any]:
    return {
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": str(folder or Path.cwd()),
        "timeout_s": timeout_s,
        "program": program and str(program),
    }


def file_of(text: str) -> IO[str]:
    file = TemporaryFile("w+")  # noqa: SIM115 - closed by who asks for it
    file.write(text)
    file.seek(0)
    return file


def content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def answer_of(order: Mapping[str, Any], *streams: IO[Any]) -> IO[str]:
    """Where the id of the new process is to be read, and its exit code when it has ended."""
    ending, told = os.pipe()
    with ONE_PARENT:
        orders = parent()
    with file_of(json.dumps(order)) as file:
        socket.send_fds(orders, [b"c"], [*(one.fileno() for one in (file, *streams)), told])
    os.close(told)
    return os.fdopen(ending)


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


def become_command(orders: socket.socket) -> str | None:
    """Return in each process that is to be a command, with everything set for it; the program that it runs instead."""
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
            os.write(told, f"{command}\n".encode())
            for file in files:
                os.close(file)
            _, status = os.waitpid(command, 0)
            os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        for file in files:
            os.close(file)
        reap()


def reap() -> None:
    """Let go of those that waited for a command and have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def dress(order: int, *streams: int) -> str | None:
    """Take on what a command is given; the program that is to run."""
    with os.fdopen(order) as file:
        wanted = json.load(file)
    signal.alarm(wanted["timeout_s"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    sys.argv[1:] = wanted["arguments"]
    return wanted["program"]


def main(orders: int) -> None:
    from service.api.schema import build_schema
    from service.cli import COMMANDS
    from service.log_redaction import shared_redactor

    migrations = (f"migrations.{file.stem}" for file in (Path(__file__).parents[1] / "migrations").glob("[0-9]*.py"))
    commands = (f"service.commands.{command.module}" for command in COMMANDS)
    for module in (*commands, *migrations, *ON_START):
        import_module(module)
    # Compiled and built once.
    shared_redactor()
    build_schema()
    gc.freeze()  # a collection writes to each object that it looks at: to a copy of its page in each fork
    program = become_command(socket.socket(fileno=orders))
    try:
        if program is None:
            runpy.run_module("service", run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(program).parent))
            runpy.run_path(program, run_name="__main__")
    except SystemExit as ended:
        leave(ended.code)
        raise


def leave(code: object) -> None:
    """End with an exit code as an interpreter does, but for taking all its modules apart, which takes a while."""
    if isinstance(code, int | None):
        threading._shutdown()  # waits for threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
