"""From the address of any node of a cluster to that of its coordinator, which has what is not distributed."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from service.storage.citus.engine import CITUS, engine_of
from service.storage.connection import Connection
from service.storage.errors import DatabaseError

_GROUP: Final = "SELECT groupid FROM pg_dist_local_group"
"""0 is the coordinator, and a node that belongs to no cluster."""
_COORDINATOR: Final = "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid = 0 AND noderole = 'primary'"
"""How the nodes reach the coordinator; they all know each other."""


def each_address(url: str) -> list[str]:
    """The addresses of which `url` names the hosts, separated by commas, each with its port."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}")) for host in hosts.split(",")]


async def coordinator_of(connection: Connection, url: str) -> str:
    """The address of the coordinator of the node at `url`, for the same user and database; `url` itself where that is
    the one, or where there is no cluster.

    Raises DatabaseError on a worker that does not know its coordinator.
    """
    if await engine_of(connection) is not CITUS or await connection.fetchval(_GROUP) == 0:
        return url
    coordinator = await connection.fetchrow(_COORDINATOR)
    if coordinator is None:
        raise DatabaseError(
            "CALLEDGER_DATABASE_URL names a worker that does not know its coordinator: as a superuser run there SELECT "
            "citus_set_coordinator_host('COORDINATOR', 5432), or name the coordinator"
        )
    return at_node(url, coordinator["nodename"], coordinator["nodeport"])


def at_node(url: str, host: str, port: int) -> str:
    """`url` with another host and port."""
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    name = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{name}:{port}"))
