"""Two services on one database and one keyring, as on two machines: an address and a data directory each."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import running
from conftest import Server
from running import RunningService

from service.keyring import create_kek_file


class Pair(NamedTuple):
    """`url`: the database's address, as its owner; `environment`: what both services are set up with."""

    one: RunningService
    other: RunningService
    url: str
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `calledger` command on the ledger of both, which must succeed."""
        done = running.command(self.one.data, *arguments, environment=self.environment)
        assert done.returncode == 0, done.stderr
        return done

    def new_key(self, role: str, *accounts: str) -> str:
        bound = [option for account in accounts for option in ("--account", account)]
        return self.command("keys", "create", "--role", role, *bound).stdout.strip()


@contextmanager
def two_services(
    server: Server, folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Pair]:
    """Start two services with the same options on a new database; they are stopped at the end of the block."""
    create_kek_file(folder / "kek")
    with server.database(template=server.template()) as url, ExitStack() as stack:
        shared = {
            "CALLEDGER_DATABASE_URL": url,
            "CALLEDGER_KEYRING": f"file:{folder / 'keyring'}",
            "CALLEDGER_KEK": f"file:{folder / 'kek'}",
            **(environment or {}),
        }
        services = []
        for name, host in (("one", "127.0.0.1"), ("other", "127.0.0.2")):
            service = RunningService(folder / name, "--host", host, *options, environment=shared)
            stack.callback(service.stop)
            services.append(service)
        yield Pair(*services, url, shared)


def settled(ask: Callable[[], Any], wanted: Any, *, times: int = 12, within_s: float = 60) -> None:
    """Return when every worker of a service answers so, which so many answers in a row show."""
    answers, until = [], time.monotonic() + within_s
    while answers[-times:] != [wanted] * times:
        answers.append(ask())
        assert time.monotonic() < until, answers[-times:]
