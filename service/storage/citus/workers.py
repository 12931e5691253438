"""The writer's connections to the workers of a cluster, and which of them has the calls of an account.

A worker takes rows of any account: one that was asked in error only has more to do. So it is enough to look anew where
accounts are from time to time. One that cannot be used is left alone for some minutes, and the coordinator asked.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, NamedTuple

import asyncpg

from service.logs import get_logger
from service.storage.citus.nodes import at_node
from service.storage.connection import Connection

log = get_logger()

_REMEMBERED_S: Final = 60.0
_ACCOUNTS_MAX: Final = 100_000
_LEFT_ALONE_S: Final = 300.0
_CONNECT_TIMEOUT_S: Final = 3.0
_CLOSE_TIMEOUT_S: Final = 2.0

HAS_MAILBOX: Final = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'stored_on_worker'::regclass)"
"""Whether workers can send what belongs to the coordinator: not of ledgers that an older version has distributed."""
_PLACES: Final = """
    SELECT account, nodename, nodeport FROM unnest($1::integer[]) AS account
    JOIN pg_dist_placement
        ON shardid = get_shard_id_for_distribution_column('call'::regclass, account) AND shardstate = 1
    JOIN pg_dist_node USING (groupid)
    WHERE noderole = 'primary' AND isactive AND hasmetadata AND metadatasynced AND groupid <> 0
"""
"""The worker on which calls of an account are, where it knows the others."""


class WorkerAddress(NamedTuple):
    """A worker, as the nodes of the cluster know it."""

    host: str
    port: int


class Workers:
    """Not for two writers at once. `url` is the coordinator's; `prepare` makes a new connection fit for writing."""

    def __init__(self, url: str, settings: Mapping[str, str], prepare: Callable[[Connection], Awaitable[None]]) -> None:
        self._url, self._settings, self._prepare = url, dict(settings), prepare
        self._connections: dict[WorkerAddress, asyncpg.Connection] = {}
        self._left_alone: dict[WorkerAddress, float] = {}
        self._nodes: dict[int, WorkerAddress | None] = {}
        self._known_at = time.monotonic()

    async def nodes_of(self, coordinator: Connection, accounts: Collection[int]) -> Mapping[int, WorkerAddress | None]:
        """The worker to ask for each account; None: ask the coordinator."""
        now = time.monotonic()
        if now - self._known_at > _REMEMBERED_S or len(self._nodes) > _ACCOUNTS_MAX:
            self._nodes, self._known_at = {}, now
        if missing := [account for account in accounts if account not in self._nodes]:
            self._nodes |= dict.fromkeys(missing)
            for row in await coordinator.fetch(_PLACES, missing):
                self._nodes[row["account"]] = WorkerAddress(row["nodename"], row["nodeport"])
        blocked = {node for node, until in self._left_alone.items() if until > now}
        found = {account: self._nodes[account] for account in accounts}
        return {account: None if node in blocked else node for account, node in found.items()}

    async def connection(self, node: WorkerAddress) -> asyncpg.Connection:
        """The connection to a worker, which is made when there is none. Raises what asyncpg does."""
        connection = self._connections.get(node)
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(
                at_node(self._url, *node), timeout=_CONNECT_TIMEOUT_S, server_settings=self._settings
            )
            self._connections[node] = connection
            await self._prepare(connection)
        return connection

    def leave_alone(self, node: WorkerAddress, error: BaseException) -> None:
        """Have the coordinator asked in place of this worker for some minutes."""
        log.warning(
            "a worker is not written to directly for now", worker=f"{node.host}:{node.port}", error=type(error).__name__
        )
        self._left_alone[node] = time.monotonic() + _LEFT_ALONE_S
        if connection := self._connections.pop(node, None):
            connection.terminate()

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            try:
                await connection.close(timeout=_CLOSE_TIMEOUT_S)
            except (OSError, TimeoutError, asyncpg.InterfaceError):
                connection.terminate()
        self._connections.clear()
