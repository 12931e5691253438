"""A Citus cluster for a run of tests: a coordinator and two workers on loopback addresses of their own.

A database is cloned from its template on all three nodes: what Citus knows of nodes and shards is in tables, and is
cloned with them. With CALLEDGER_TEST_CITUS_URL the nodes are others': addresses of a superuser, separated by blanks,
the coordinator's first.
"""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from service.storage.embedded import processes
from service.storage.schema.migrate import migrate
from service.storage.schema.row_security import ROLES

GIVEN: Final = os.environ.get("CALLEDGER_TEST_CITUS_URL", "").split()
PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
LIBRARY: Final = PROGRAMS.parent / "lib" / "citus.so"
WORKERS: Final = 2
SHARDS: Final = 2
PORT: Final = 5432
DROPS_MAX: Final = 6
"""How often it is tried to drop a database."""

# Small, for three of them stand beside each other. Each database that is used has a process of Citus' own on each node.
NODE_OPTIONS: Final[Mapping[str, str]] = {
    "shared_preload_libraries": "citus",
    "shared_buffers": "32MB",
    "max_worker_processes": "48",
    "max_prepared_transactions": "200",
    "max_connections": "200",
    "citus.node_conninfo": "sslmode=disable",
    "citus.max_cached_conns_per_worker": "1",
    "citus.enable_statistics_collection": "off",
    "citus.override_table_visibility": "off",
    "citus.recover_2pc_interval": "2s",
}


class Node(Protocol):
    """One PostgreSQL of the cluster, as `conftest.Server`."""

    folder: Path
    programs: Path

    def execute(self, *statements: str) -> None:
        """Run statements as superuser in the database `postgres`."""


class GivenNode:
    """A node that somebody else runs. `url`: of a superuser, in any database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.programs, self.folder = processes.bundled_programs(), Path()

    def execute(self, *statements: str) -> None:
        psql(self.url, *statements)


def psql(url: str, *statements: str) -> str:
    """Run statements on a connection of their own; what they return, as lines."""
    commands = [part for statement in statements for part in ("-c", statement)]
    program = processes.bundled_programs() / "psql"
    done = subprocess.run(
        [program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *commands, url],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PGOPTIONS": "-c client_min_messages=error"},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


class CitusServer:
    """The cluster, with what tests want of a server. `hosts`: address and port of each node, the coordinator's first;
    `superuser`: its name and password.
    """

    def __init__(
        self,
        nodes: list[Any],
        hosts: list[tuple[str, int]],
        owner: tuple[str, str],
        superuser: tuple[str, str],
        shards: int,
    ) -> None:
        self.nodes, self.hosts, self._shards = nodes, hosts, shards
        self.programs, self.folder = nodes[0].programs, nodes[0].folder
        self.identity = getattr(nodes[0], "identity", None)
        self._owner, self._superuser = owner, superuser
        self._templates: dict[str, str] = {}
        self._made: list[str] = []
        self._lent: list[str] = []

    def url(self, database: str, *, user: str | None = None, node: int = 0) -> str:
        """The address of a database on a node, for the owner or another of our users."""
        host, port = self.hosts[node]
        name, password = self._superuser if user == self._superuser[0] else (user or self._owner[0], self._owner[1])
        return f"postgresql://{name}:{password}@{host}:{port}/{database}"

    def execute(self, *statements: str) -> None:
        """Run statements as superuser, on the coordinator; what is about roles and databases, on every node."""
        for statement in statements:
            everywhere = any(word in statement for word in (" ROLE ", " DATABASE "))
            for node in self.nodes if everywhere else self.nodes[:1]:
                node.execute(statement)

    def everywhere(self, database: str, *statements: str) -> None:
        """Run statements as superuser in a database, on every node."""
        for number in range(len(self.nodes)):
            psql(self.url(database, user=self._superuser[0], node=number), *statements)

    def template(self) -> str:
        """The name of a database that has been migrated and distributed, made on first use."""
        return self._template("migrated", self._migrated)

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """A new database on every node, as a copy of `template`, and empty but for Citus by default."""
        source = self._template("bare", lambda _: None) if template == "template0" else template
        name = f"test_{secrets.token_hex(6)}"
        self._copy(name, source)
        try:
            yield self.url(name)
        finally:
            self._drop(name)

    def filled(self, fill: Callable[[str], None]) -> str:
        """The name of a migrated database that `fill` has put something into, given its address: a template, too."""
        url = self.lend()
        fill(url)
        return self.keep(url)

    def lend(self, template: str | None = None) -> str:
        """The address of a new database that stays until `take_back`: a copy of `template`, or of the migrated one."""
        name = f"lent_{secrets.token_hex(6)}"
        self._copy(name, template or self.template())
        self._lent.append(name)
        return self.url(name)

    def keep(self, url: str) -> str:
        """Make a lent database that nobody uses any more a template, which stays: its name."""
        name = url.rpartition("/")[2]
        self._lent.remove(name)
        self._made.append(name)
        self._close(name)
        return name

    def take_back(self) -> None:
        """Drop the databases that were lent."""
        while self._lent:
            self._drop(self._lent.pop())

    def finish(self) -> None:
        """Drop the templates, of nodes that go on."""
        for name in self._made:
            self._drop(name)

    def _copy(self, name: str, template: str) -> None:
        self._at_once(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {self._owner[0]} STRATEGY FILE_COPY")

    def _drop(self, name: str) -> None:
        """Drop a database on all nodes. PostgreSQL waits five seconds for sessions that it ends, and a session of
        Citus' own can take longer on a busy machine.
        """
        for left in reversed(range(DROPS_MAX)):
            try:
                self._at_once(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            except RuntimeError as error:
                if not left or "being accessed by other users" not in str(error):
                    raise
            else:
                return

    def _at_once(self, statement: str) -> None:
        """Run a statement as superuser on all nodes, none of which waits for another's disk."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(lambda node: node.execute(statement), self.nodes))

    def _template(self, kind: str, fill: Callable[[str], None]) -> str:
        if kind not in self._templates:
            name = f"{kind}_{os.getpid()}"
            self._made.append(name)
            self._drop(name)  # what was cut off by a time limit
            self._make(name)
            fill(self.url(name))
            self._close(name)
            self._templates[kind] = name
        return self._templates[kind]

    def _migrated(self, url: str) -> None:
        from service.storage.citus.distribution import distribute

        asyncio.run(migrate(url))
        asyncio.run(distribute(url, shards=self._shards))

    def _make(self, name: str) -> None:
        """A database with Citus on each node, as docs/operating.md has its operator prepare it."""
        for node in self.nodes:
            node.execute(f"CREATE DATABASE {name} OWNER {self._owner[0]}")
        known = [
            (self._superuser[0], self._superuser[1]),
            *((role, self._owner[1]) for role in (self._owner[0], *ROLES)),
        ]
        self.everywhere(
            name,
            "CREATE EXTENSION citus",
            *(
                f"INSERT INTO pg_dist_authinfo VALUES ({node}, '{role}', 'password={password}')"
                for role, password in known
                for node in (-1, 0)
            ),
        )
        coordinator, *workers = [f"'{host}', {port}" for host, port in self.hosts]
        psql(
            self.url(name, user=self._superuser[0]),
            f"SELECT citus_set_coordinator_host({coordinator})",
            *(f"SELECT citus_add_node({worker})" for worker in workers),
        )

    def _close(self, name: str) -> None:
        """Leave a template alone: a connection to it, such as that of Citus' own process, would keep it from copies."""
        for node in self.nodes:
            node.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            node.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


_numbers = count(1)


def addresses(nodes: int) -> list[str]:
    """Loopback addresses for nodes, of this process alone, so that each can have PostgreSQL's own port."""
    one, two = divmod(os.getpid() % 65_024, 254)
    return [f"127.{one % 254 + 1}.{two + 1}.{number}" for number in islice(_numbers, nodes)]


def own_nodes(
    running: Callable[..., AbstractContextManager[Any]], hosts: list[str], shards: int, stack: ExitStack
) -> list[Any]:
    """The nodes as clusters of this run, each started and gone with `stack`."""
    nodes = []
    for address in hosts:
        options = {
            **NODE_OPTIONS,
            "listen_addresses": address,
            "citus.local_hostname": address,
            "citus.shard_count": str(shards),
        }
        nodes.append(stack.enter_context(running(PROGRAMS, options)))
    return nodes


@contextmanager
def citus_server(
    running: Callable[..., AbstractContextManager[Any]],
    owner: tuple[str, str],
    *,
    workers: int = WORKERS,
    shards: int = SHARDS,
) -> Iterator[CitusServer]:
    """The cluster of this run. `running` starts a PostgreSQL with options."""
    with ExitStack() as stack:
        if GIVEN:
            nodes = [GivenNode(url) for url in GIVEN]
            parts = [urlsplit(url) for url in GIVEN]
            hosts = [(part.hostname or "127.0.0.1", part.port or PORT) for part in parts]
            superuser = (parts[0].username or "postgres", parts[0].password or "")
        else:
            hosts = [(address, PORT) for address in addresses(1 + workers)]
            nodes = own_nodes(running, [host for host, _ in hosts], shards, stack)
            superuser = ("postgres", owner[1])
        for node in nodes:
            for role in ROLES:
                node.execute(make_role(role, f"LOGIN NOBYPASSRLS PASSWORD '{owner[1]}'"))
            node.execute(make_role(owner[0], f"LOGIN CREATEROLE PASSWORD '{owner[1]}'"))
            node.execute(f"GRANT {', '.join(ROLES)} TO {owner[0]}")
        server = CitusServer(nodes, hosts, owner, superuser, shards)
        try:
            yield server
        finally:
            if GIVEN:
                server.finish()


def make_role(name: str, options: str) -> str:
    """A statement that makes a role, or alters the one that is there."""
    return (
        f"DO $$ BEGIN CREATE ROLE {name} {options}; "
        f"EXCEPTION WHEN duplicate_object THEN ALTER ROLE {name} {options}; END $$"
    )


def with_database(url: str, database: str) -> str:
    """The same address with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
