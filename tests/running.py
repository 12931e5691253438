"""The service as its users run it: its own process, its own data directory, the embedded PostgreSQL."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, ClassVar, Final, Protocol

import forked

READY_S = 240  # where the demo that tests share does not begin, all of them fail
# This checkout's code, wherever the command stands.
PYTHON_PATH = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
CREATE_KEY: Final = (
    "mutation ($role: Role!, $accounts: [String!]) { createApiKey(input: {role: $role, accounts: $accounts}) { key } }"
)
# A first start with one of these makes another data directory than one without.
FIRST_START_SETTINGS: Final = {"CALLEDGER_DATABASE_URL", "CALLEDGER_KEK", "CALLEDGER_POLICY"}


class Lender(Protocol):
    """A server that gives databases to services that would run their own PostgreSQL."""

    def lend(self, template: str | None = None) -> str:
        """The address of a new database: a copy of `template`, or a migrated one without a ledger's first start."""
        ...

    def keep(self, url: str) -> str:
        """Make a database that nobody uses any more a template: its name."""
        ...


class RunningService:
    """`calledger serve` on a free port over `data`.

    A new data directory is a copy of one that a first start has made, which costs a fraction of it: all of them are
    one installation, with one keyring. `is_first`: it is begun here. `is_fresh`: that too, and the process imports for
    itself what it needs.
    """

    begun: ClassVar[Path | None] = None
    """Where data directories are kept to be copied, for all processes of a run."""
    lender: ClassVar[Lender | None] = None
    """Whose databases are used in place of embedded ones, with `--citus`."""
    lent: ClassVar[dict[str, str]] = {}
    """Which database belongs to a data directory, when it is a lent one."""
    templates: ClassVar[dict[Path, str]] = {}
    """The databases that belong to data directories which are copied."""

    def __init__(
        self,
        data: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        is_fresh: bool = False,
        is_first: bool = False,
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._environment = {**os.environ, "CALLEDGER_LOG_FORMAT": "json", **(environment or {})}
        self._arguments = ["serve", "--port", "0", "--data", str(data), *options]
        self._is_fresh = is_fresh
        self.lines: list[str] = []
        self.url = ""
        if not (is_fresh or is_first or data.exists() or FIRST_START_SETTINGS & {*(environment or {})}):
            copy_begun(data, is_demo="--demo" in options)
        self._environment = {**lent_to(data, environment), **self._environment}
        self.start()

    def start(self) -> None:
        """Start it and wait for its ready line; what it printed before is in `lines`."""
        with self.log.open("ab") as log:
            self.process = (self._fresh if self._is_fresh else self._forked)(log)
        watchdog = threading.Timer(READY_S, self.process.kill)
        watchdog.start()
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                break
        watchdog.cancel()
        if not self.lines or not self.lines[-1].startswith("ready "):
            self.kill()
            raise RuntimeError(self.log.read_text())
        self.url = self.lines[-1].removeprefix("ready ")

    def _forked(self, log: IO[bytes]) -> "subprocess.Popen[str] | forked.Process":
        return forked.start(self._arguments, environment=self._environment, log=log)

    def _fresh(self, log: IO[bytes]) -> "subprocess.Popen[str] | forked.Process":
        command = [sys.executable, "-m", "service", *self._arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment)

    def stop(self) -> int:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> int:
        """End it as a power cut would."""
        self.process.kill()
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    @property
    def admin_key(self) -> str:
        return (self.data / "admin.key").read_text().strip()

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another `calledger` command on the same data directory."""
        return command(self.data, *arguments, stdin=stdin)

    def new_key(self, role: str, *accounts: str) -> str:
        """A key that was made by the admin's."""
        answer = self.ask(self.admin_key, CREATE_KEY, role=role.upper(), accounts=list(accounts) or None)
        assert "errors" not in answer, answer
        return answer["data"]["createApiKey"]["key"]

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One HTTP request: status, headers and body, also for errors."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=dict(headers))
        if body is not None and "Content-Type" not in headers:
            request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def report(self, key: str, *calls: Mapping[str, Any], path: str = "/v1/calls") -> dict[str, Any]:
        """Report calls; the answer, which must be a 200."""
        status, _, body = self.request("POST", path, key=key, body=json.dumps(calls).encode())
        assert status == 200, body
        return json.loads(body)

    def ask(self, key: str, query: str, **variables: Any) -> dict[str, Any]:
        """Ask GraphQL; the whole answer, errors included."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return json.loads(self.request("POST", "/graphql", key=key, body=body)[2])

    def metrics(self) -> str:
        """What `/metrics` says."""
        return self.request("GET", "/metrics")[2].decode()

    def figure(self, name: str) -> float:
        """The sum of all samples of a metric."""
        return sum(float(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.metrics(), re.MULTILINE))

    def everything_on_disk(self) -> bytes:
        """All bytes of the data directory, WAL and logs included."""
        files = [path for path in self.data.rglob("*") if path.is_file() and not path.is_socket()]
        found = []
        for path in [*files, self.log]:
            with suppress(FileNotFoundError):  # PostgreSQL does away with a file of its own, and what was in it
                found.append(path.read_bytes())
        return b"\n".join(found)


def copy_begun(data: Path, *, is_demo: bool) -> None:
    """Make `data` a copy of what a first start has left, with the demo's calls or without."""
    if RunningService.begun is None:
        return
    options = ["--demo"] if is_demo else []
    begun = RunningService.begun / "-".join(["begun", *options])
    with begun.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not begun.exists():
            new = begun.with_suffix(".new")
            RunningService(new, *options, is_first=True).stop()
            new.rename(begun)
            if RunningService.lender is not None:
                RunningService.templates[begun] = RunningService.lender.keep(RunningService.lent.pop(str(new)))
    subprocess.run(["cp", "--archive", begun, data], check=True)
    if RunningService.lender is not None:
        RunningService.lent[str(data)] = RunningService.lender.lend(RunningService.templates[begun])


def lent_to(data: Path | str, environment: Mapping[str, str] | None) -> dict[str, str]:
    """The address of the database that a data directory has in place of an embedded one, where that is so."""
    lender = RunningService.lender
    if lender is None or "CALLEDGER_DATABASE_URL" in (environment or {}):
        return {}
    if str(data) not in RunningService.lent:
        RunningService.lent[str(data)] = lender.lend()
    return {"CALLEDGER_DATABASE_URL": RunningService.lent[str(data)]}


def database_url(data: Path) -> str:
    """The address of the database that a service works on which was given none."""
    return RunningService.lent.get(str(data)) or (data / "database.url").read_text().strip()


def command(
    data: Path, *arguments: str, stdin: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `calledger` command on `data`, as from a shell with no terminal."""
    return bare_command(*arguments, "--data", str(data), stdin=stdin, environment=environment)


def printed(data: Path, url: str, *arguments: str) -> str:
    """What a command prints that works on the database at `url`, and has nothing to complain of."""
    done = command(data, *arguments, environment={"CALLEDGER_DATABASE_URL": url})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def bare_command(
    *arguments: str, stdin: str | None = None, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `calledger` command as it stands, in `folder`."""
    return forked.run(arguments, stdin=stdin or "", environment=surroundings(environment, arguments), folder=folder)


def fresh_command(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a `calledger` command as it stands, in a process that imports for itself what it needs."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=surroundings(environment, arguments),
    )


def surroundings(environment: Mapping[str, str] | None, arguments: Sequence[str] = ()) -> dict[str, str]:
    """What a command finds; also the database that its data directory has been lent."""
    data = next((value for option, value in pairwise(arguments) if option == "--data"), None)
    lent = {} if data not in RunningService.lent else lent_to(data, environment)
    return {**os.environ, **PYTHON_PATH, **lent, **(environment or {})}
