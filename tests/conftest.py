"""Fixtures for all tests: a clean environment and real PostgreSQL servers.

`database_url` is a fresh, migrated database on PostgreSQL 18, the programs that calledger brings along.
`any_database_url` is the same once more on Debian's PostgreSQL 15, the oldest that calledger supports.
`empty_database_url` and `any_empty_database_url` have not been migrated. Each is dropped after its test.
"""

import asyncio
import base64
import gc
import hashlib
import hmac
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from urllib.parse import quote

import hypothesis
import pytest
from broken_off import pytest_handlecrashitem, pytest_sessionfinish  # noqa: F401 - hooks
from builtin_types import ask_once
from citus_cluster import GIVEN, CitusServer, citus_server
from folders import IN_MEMORY, SHORT_FOLDER
from running import RunningService
from time_limits import pytest_runtest_protocol, pytest_timeout_set_timer  # noqa: F401 - hooks

from service.storage.embedded import processes
from service.storage.schema.migrate import migrate

for _name in list(os.environ):
    # PG* would bend every connection that leaves something unsaid.
    if _name.startswith(("CALLEDGER_", "PG")) and not _name.startswith("CALLEDGER_TEST_"):
        del os.environ[_name]

ask_once()

DEBIAN_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
END = "end of statement\n"
OWNER = "calledger_owner"
PASSWORD = "only-for-tests"
START_TIMEOUT_S = 60
ELSEWHERE = pytest.StashKey[Counter[str]]()

if IN_MEMORY:
    tempfile.tempdir = str(SHORT_FOLDER)  # pytest's own folders stand there too

# Copying files makes PostgreSQL write out all of its buffers first: on a disk it copies through the log instead.
COPY_STRATEGY = "FILE_COPY" if IN_MEMORY else "WAL_LOG"

# A throwaway cluster: nothing of it has to survive the machine.
SERVER_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    "jit": "off",
    "autovacuum": "off",
    "timezone": "UTC",
}


# How long an example takes says something about the machine, and nothing about what is claimed. A run looks at the same
# examples as the one before: what it says of a change is what the change did. `--hypothesis-profile=fresh`: at others.
_UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("fresh", _UNTIMED)
hypothesis.settings.register_profile("same", _UNTIMED, derandomize=True, database=None)
hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--citus", action="store_true", help="run on a Citus cluster what would run on PostgreSQL 18")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for another PostgreSQL than the one that is tested."""
    is_citus = config.getoption("--citus")
    reasons = {item: reason for item in items if (reason := why_elsewhere(item, is_citus=is_citus)) is not None}
    config.hook.pytest_deselected(items=list(reasons))
    items[:] = [item for item in items if item not in reasons]
    config.stash[ELSEWHERE] = Counter(reasons.values()) if is_citus else Counter()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests are not for Citus, and why."""
    for reason, count in config.stash.get(ELSEWHERE, Counter()).most_common():
        terminalreporter.write_line(f"{count} not on Citus: {reason}")


def why_elsewhere(item: pytest.Item, *, is_citus: bool) -> str | None:
    """Why a test does not run here. With `--citus` those of PostgreSQL 15 are elsewhere, and those that say that they
    are about one PostgreSQL or the embedded one; without it those of Citus are. Nodes that are not ours are not ended.
    """
    marker = item.get_closest_marker("citus")
    if marker is not None:
        if not is_citus:
            return "of Citus"
        return "ends nodes, which are not ours here" if marker.kwargs.get("own_nodes") and GIVEN else None
    if not is_citus:
        return None
    for name in ("plain", "embedded"):
        if (marker := item.get_closest_marker(name)) is not None:
            return f"{name}: {marker.args[0]}"
    if "debian_15" in (*getattr(item, "fixturenames", ()), *_parameters(item)):
        return "the same again on PostgreSQL 15"
    return None


def _parameters(item: pytest.Item) -> list[object]:
    call = getattr(item, "callspec", None)
    return [] if call is None else list(call.params.values())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The thousands of tests that are collected live until the end: the collector need not look through them, ever."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@dataclass
class Server:
    """A PostgreSQL server of this test run, with a template that has been migrated once."""

    programs: Path
    folder: Path
    identity: processes.Identity
    options: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] = field(init=False)
    _superuser: subprocess.Popen[str] | None = field(default=None, init=False)
    _template: str | None = field(default=None, init=False)

    def url(self, database: str, *, user: str = OWNER) -> str:
        return f"postgresql://{user}:{PASSWORD}@/{database}?host={quote(str(self.folder))}&port=5432"

    def execute(self, *statements: str) -> None:
        """Run statements as superuser, each in a transaction of its own."""
        psql = self._superuser = self._superuser or start_psql(self.folder)
        for statement in statements:
            psql.stdin.write(f"{statement};\n\\warn {END}")
            psql.stdin.flush()
            answer = iter(psql.stderr.readline, "")
            if said := "".join(takewhile(lambda line: line != END, answer)):
                raise RuntimeError(said)

    def start(self) -> None:
        """Start it, from the main thread. `await_ready` says when it takes connections."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = processes.start(self.identity, server_command(self), folder=self.folder, log=log)

    def await_ready(self) -> None:
        await_ready(self.process, self.folder)

    def crash(self) -> None:
        """End it as a power cut would."""
        self.close()
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(START_TIMEOUT_S)

    def close(self) -> None:
        if self._superuser is not None:
            self._superuser.communicate()
            self._superuser = None

    def template(self) -> str:
        """The name of a migrated database, made on first use."""
        if self._template is None:
            self.execute(f"CREATE DATABASE migrated OWNER {OWNER}")
            asyncio.run(migrate(self.url("migrated")))
            self._template = "migrated"
        return self._template

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """A new database, as a copy of `template`: its address, for the owner."""
        name = self._copied(template)
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def filled(self, fill: Callable[[str], None]) -> str:
        """The name of a migrated database that `fill` has put something into, given its address: a template, too."""
        name = self._copied(self.template())
        fill(self.url(name))
        return name

    def _copied(self, template: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER} STRATEGY {COPY_STRATEGY}")
        return name


@contextmanager
def running_server(programs: Path, options: Mapping[str, str] = {}) -> Iterator[Server]:
    """A throwaway cluster of `programs`, with further options, started, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="calledger-test-", dir=SHORT_FOLDER))
    try:
        folder.chmod(0o711)
        server = Server(programs, folder, processes.choose_identity(programs / "postgres", folder), options)
        os.chown(folder, *server.identity.owner)
        initialise(server)
        server.start()
        try:
            server.await_ready()
            server.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{verifier(PASSWORD)}'")
            yield server
        finally:
            server.close()
            server.process.send_signal(signal.SIGINT)  # fast shutdown: a forgotten connection does not hold it up
            server.process.wait(START_TIMEOUT_S)
    finally:
        shutil.rmtree(folder)


def verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), derived in one round: 4,096 take each connection 1 ms."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*(base64.b64encode(part).decode() for part in parts))


def start_psql(folder: Path) -> subprocess.Popen[str]:
    """A superuser's psql that stays: a new one for each statement would cost more than making a database does."""
    program = processes.bundled_programs() / "psql"
    connection = ["-h", folder, "-p", "5432", "-U", "postgres", "-d", "postgres"]
    return subprocess.Popen(
        [program, "-X", "-q", *connection],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PGPASSWORD": PASSWORD, "PGOPTIONS": "-c client_min_messages=error"},
        text=True,
    )


def initialise(server: Server) -> None:
    password_file = server.folder / "password"
    password_file.write_text(PASSWORD)
    os.chown(password_file, *server.identity.owner)
    auth = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password_file}"]
    command = [server.programs / "initdb", "-D", server.folder / "cluster", *auth, "-E", "UTF8", "--no-locale", "-N"]
    done = processes.run(server.identity, command, folder=server.folder)
    assert done.returncode == 0, done.stdout
    with (server.folder / "cluster" / "pg_hba.conf").open("a") as access:
        access.write("host all all 127.0.0.0/8 scram-sha-256\n")


def server_command(server: Server) -> list[str | Path]:
    options = {**SERVER_OPTIONS, "unix_socket_directories": str(server.folder), **server.options}
    settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    return [server.programs / "postgres", "-D", server.folder / "cluster", *settings]


def await_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return once the server says in its pid file that it takes connections."""
    deadline = time.monotonic() + START_TIMEOUT_S
    pid_file = folder / "cluster" / "postmaster.pid"
    while not (pid_file.exists() and pid_file.read_text().rstrip().endswith(("ready", "standby"))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "server.log").read_text())
        time.sleep(0.02)


@pytest.fixture(scope="session", autouse=True)
def begun_data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Data directories of services are begun once for a run, also for one of several workers."""
    folder = tmp_path_factory.getbasetemp()
    is_citus = request.config.getoption("--citus")
    RunningService.begun = folder.parent if hasattr(request.config, "workerinput") and not is_citus else folder
    if is_citus:
        RunningService.lender = request.getfixturevalue("embedded_18")


@pytest.fixture(scope="module", autouse=True)
def lent_databases(begun_data: None) -> Iterator[None]:
    """What services of a module were lent goes with it."""
    yield
    if isinstance(RunningService.lender, CitusServer):
        RunningService.lender.take_back()
        RunningService.lent.clear()


@pytest.fixture(scope="session")
def embedded_18(request: pytest.FixtureRequest) -> "Iterator[Server | CitusServer]":
    if request.config.getoption("--citus"):
        with citus_server(running_server, (OWNER, PASSWORD)) as cluster:
            yield cluster
        return
    with running_server(processes.bundled_programs()) as server:
        yield server


@pytest.fixture(scope="session")
def debian_15() -> Iterator[Server]:
    if not (DEBIAN_PROGRAMS / "postgres").exists():
        reason = f"no PostgreSQL 15 in {DEBIAN_PROGRAMS}: `make test` installs it where apt-get is there"
        print(reason)
        pytest.skip(reason)
    with running_server(DEBIAN_PROGRAMS) as server:
        yield server


@pytest.fixture
def database_url(embedded_18: Server) -> Iterator[str]:
    with embedded_18.database(template=embedded_18.template()) as url:
        yield url


@pytest.fixture
def empty_database_url(embedded_18: Server) -> Iterator[str]:
    with embedded_18.database() as url:
        yield url


@pytest.fixture(params=["embedded_18", "debian_15"])
def any_server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@pytest.fixture
def any_database_url(any_server: Server) -> Iterator[str]:
    with any_server.database(template=any_server.template()) as url:
        yield url


@pytest.fixture
def any_empty_database_url(any_server: Server) -> Iterator[str]:
    with any_server.database() as url:
        yield url
