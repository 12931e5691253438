"""PostgreSQL's own types are asked for once in a run: they are the same on every server, and in every database.

asyncpg asks about a type that it meets on a connection for the first time, an array of moments for instance, by a
recursive query over the catalogue. It takes the server 8 ms, more than most statements that have such a type, and each
test has connections of its own to a database of its own.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from asyncpg.connection import Connection

OWN_OIDS_MAX = 10_000
"""Types below are written down in PostgreSQL's source, and none of them has changed since 15."""

_introspect = Connection._introspect_types
_answers: dict[tuple[int, ...], Any] = {}


async def _introspect_once(self: Connection, typeoids: Iterable[int], *options: Any) -> tuple[Any, Any]:
    wanted = tuple(sorted(typeoids))
    if wanted in _answers:
        # A statement with a name, as asyncpg takes it: the one that is being prepared was not replaced on the server.
        return _answers[wanted], SimpleNamespace(name="asked before")
    found, statement = await _introspect(self, typeoids, *options)
    if wanted and wanted[-1] < OWN_OIDS_MAX:
        _answers[wanted] = found
    return found, statement


def ask_once() -> None:
    """Have all connections of this process ask so."""
    Connection._introspect_types = _introspect_once  # type: ignore[method-assign] - asyncpg has no other place for it
