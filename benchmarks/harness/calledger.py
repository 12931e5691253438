"""The service that is measured: its data directory, its processes as users run them, its database and its keys."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from benchmarks.harness.places import ROOT
from benchmarks.harness.processes import cpu_seconds

READY_S: Final = 90
# Limits stay on: they are worked out for every operation, and never reached.
UNREACHED: Final = {"CALLEDGER_RATE_LIMIT_PER_MINUTE": "2000000000"}

# The last because no user compiles every module anew at every start.
_NOT_KEPT: Final = ("CALLEDGER_", "PG", "PYTHONDONTWRITEBYTECODE")


class Calledger:
    """`calledger serve` over `data`. As a context it is started, and stopped at the end."""

    def __init__(self, data: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data = data
        self._options = options
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_KEPT)}
        self._environment = {**kept, "CALLEDGER_LOG_FORMAT": "json", **UNREACHED, **(environment or {})}
        self.url = ""
        self.ready_s = 0.0
        self.ready_cpu_s = 0.0

    def __enter__(self) -> "Calledger":
        self.data.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data", self.data, *self._options]
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        watchdog = threading.Timer(READY_S, self._process.kill)
        watchdog.start()
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        self.ready_s = time.monotonic() - begin
        self.ready_cpu_s = cpu_seconds(self._process.pid)
        watchdog.cancel()
        if not lines or not lines[-1].startswith("ready "):
            raise SystemExit(f"the service did not start: {self.log.read_text()[-2000:]}")
        self.url = lines[-1].removeprefix("ready ").strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def postmaster(self) -> int:
        return int((self.data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])

    @property
    def database_url(self) -> str:
        """The owner's address of the embedded database."""
        return (self.data / "database.url").read_text().strip()

    @property
    def admin_key(self) -> str:
        return (self.data / "admin.key").read_text().strip()

    def new_key(self, role: str, *accounts: str) -> str:
        bound = [option for account in accounts for option in ("--account", account)]
        return self.command("keys", "create", "--role", role, *bound).strip()

    def command(self, *arguments: str) -> str:
        """The standard output of another `calledger` command on the same data."""
        done = subprocess.run(
            [sys.executable, "-m", "service", *arguments, "--data", self.data],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"`calledger {' '.join(arguments)}` failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


def postgres_variables(url: str) -> dict[str, str]:
    """`PG...` for peers that read them, from an address by a socket's folder."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path.lstrip("/"),
        "PGHOST": query["host"][0] if "host" in query else parts.hostname or "",
        "PGPORT": query["port"][0] if "port" in query else str(parts.port or 5432),
    }


def ask(url: str, key: str, query: str, **variables: object) -> dict[str, object]:
    """The `data` of a GraphQL answer without errors."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers), timeout=120) as answer:
        found = json.loads(answer.read())
    if "errors" in found:
        raise SystemExit(f"GraphQL refused a benchmark's query: {found['errors']}")
    return found["data"]
