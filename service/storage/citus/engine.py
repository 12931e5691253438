"""What differs between PostgreSQL alone and PostgreSQL with Citus: one object says it, and nobody else asks.

Citus' workers evaluate row-level security, and a session's settings do not reach them. Only those do that a transaction
makes for itself: on Citus each scoped read is a transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from service.storage.connection import Connection, ScopedConnection
from service.storage.schema.row_security import WHOLE_ON_EACH_NODE, WRITTEN_ON_EACH_NODE

DISTRIBUTED: Final = ("call", "call_error", "call_held", "call_error_held")
"""Tables that are distributed by account: a row or more a call. Sums are few, and stay on the coordinator, so that a
statement sees all of them in one snapshot.
"""
_COPIES: Final = """
    SELECT shard_name(logicalrelid, shardid) AS name FROM pg_dist_shard WHERE logicalrelid::text = ANY ($1)
"""
"""The tables in which a node has what every node has whole."""

_HAS_CITUS: Final = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')"
"""Whether this database has Citus."""


class CitusConnection(asyncpg.Connection):
    """A connection to a coordinator."""

    __slots__ = ()

    @property
    def engine(self) -> "Engine":
        """What this server wants."""
        return CITUS


class PropagatingConnection(ScopedConnection):
    """A scoped connection whose accounts reach the workers: set anew in each transaction, and one for each read."""

    __slots__ = ("_scoped_transaction",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through to asyncpg
        super().__init__(*args, **kwargs)
        self._scoped_transaction: object = None

    @property
    def engine(self) -> "Engine":
        """What this server wants."""
        return CITUS

    async def see_only(self, accounts: tuple[int, ...]) -> None:
        """Set row-level security to `accounts` from the next statement on."""
        self._accounts = accounts

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - as asyncpg's
        """As asyncpg's; the first of a transaction makes its scope known to the workers."""
        await self._scope_transaction()
        return await super().execute(query, *args, **kwargs)

    async def fetch(self, query: str, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ANN401 - as asyncpg's
        """As asyncpg's, in a transaction with the scope."""
        if self._accounts is None or self.is_in_transaction():
            await self._scope_transaction()
            return await super().fetch(query, *args, **kwargs)
        await super().execute(f"BEGIN READ ONLY; {self._set_local()}")
        try:
            found = await super().fetch(query, *args, **kwargs)
        except BaseException:
            # One that was cancelled is in no state for it; the pool does away with it.
            if not self.is_closed() and self.is_in_transaction():
                await super().execute("ROLLBACK")
            raise
        await super().execute("COMMIT")
        return found

    async def fetchrow(self, query: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as asyncpg's
        """As asyncpg's, in a transaction with the scope."""
        found = await self.fetch(query, *args, **kwargs)
        return found[0] if found else None

    async def fetchval(self, query: str, *args: Any, column: int = 0, **kwargs: Any) -> Any:  # noqa: ANN401 - as asyncpg's
        """As asyncpg's, in a transaction with the scope."""
        found = await self.fetch(query, *args, **kwargs)
        return found[0][column] if found else None

    async def _scope_transaction(self) -> None:
        """Set the scope in a transaction of the caller's that has begun and does not have it yet."""
        # Its driver's object is there before the server's transaction, whose BEGIN must come first.
        is_new = self._top_xact is not None and self._scoped_transaction is not self._top_xact
        if self._accounts is not None and is_new and self.is_in_transaction():
            await super().execute(self._set_local())
            self._scoped_transaction = self._top_xact

    def _set_local(self) -> str:
        assert self._accounts is not None, "only a scope is set"
        return f"SET LOCAL calledger.accounts = '{{{','.join(map(str, self._accounts))}}}'"


@dataclass(frozen=True, slots=True)
class Engine:
    """What a kind of server wants. `settings`: of every connection. `plain` and `scoped`: the classes of connections,
    the second of those that are kept to accounts.

    `probes_by_account`: a statement may look for one row of each account, by LATERAL with LIMIT;
    `picks_from_many_accounts`: one statement may lock rows of several, or change them by where they lie;
    `detaches_concurrently`: a partition of calls goes without stopping readers;
    `leaves_days_unsummed`: sums that are as many as their calls are not kept, because calls are read as quickly;
    `commits_at_once`: a transaction is committed on all that it has written to, or on nothing.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    plain: type[asyncpg.Connection] = asyncpg.Connection
    scoped: type[ScopedConnection] = ScopedConnection
    probes_by_account: bool = True
    picks_from_many_accounts: bool = True
    detaches_concurrently: bool = True
    leaves_days_unsummed: bool = True
    commits_at_once: bool = True


POSTGRESQL: Final = Engine()
# What a transaction sets for itself is set on the workers too. A table of another session's would be looked up at every
# first use. Held copies and their hold are written in one transaction, on one connection to each worker.
CITUS: Final = Engine(
    {
        "citus.propagate_set_commands": "local",
        "citus.override_table_visibility": "off",
        "citus.multi_shard_modify_mode": "sequential",
    },
    CitusConnection,
    PropagatingConnection,
    probes_by_account=False,
    picks_from_many_accounts=False,
    detaches_concurrently=False,
    leaves_days_unsummed=False,
    commits_at_once=False,
)


def engine_on(connection: Connection) -> Engine:
    """What the server of one of our pools' connections wants."""
    return getattr(connection, "engine", POSTGRESQL)


async def copies_on(connection: Connection) -> list[str]:
    """The further tables of ours that a coordinator has, in which what every node has whole or can write to lies."""
    if engine_on(connection) is POSTGRESQL:
        return []
    return [row["name"] for row in await connection.fetch(_COPIES, [*WHOLE_ON_EACH_NODE, *WRITTEN_ON_EACH_NODE])]


async def engine_of(connection: Connection) -> Engine:
    """What the server of this connection wants."""
    return CITUS if await connection.fetchval(_HAS_CITUS) else POSTGRESQL
