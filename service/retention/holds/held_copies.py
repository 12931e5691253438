"""The copies that a hold keeps, as rows."""

from typing import Final

import asyncpg
from asyncpg.cursor import CursorFactory

from service.retention.holds.holds import StoredHold
from service.storage.connection import Connection

_READ_AT_ONCE: Final = 500
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM call_held WHERE account_id = $1 AND hold_id = $2) AS calls,
        (SELECT count(*) FROM call_error_held WHERE account_id = $1 AND hold_id = $2) AS errors
"""
_CALLS: Final = "SELECT * FROM call_held WHERE account_id = $1 AND hold_id = $2 ORDER BY started_at, id"
_ERRORS: Final = "SELECT * FROM call_error_held WHERE account_id = $1 AND hold_id = $2 ORDER BY occurred_at, id"


async def count_copies(connection: Connection, hold: StoredHold) -> tuple[int, int]:
    """How many calls and how many errors are copied for the hold."""
    row = await connection.fetchrow(_COUNTS, hold.account_id, hold.id)
    assert row is not None, "counts are one row"
    return row["calls"], row["errors"]


def held_calls(connection: Connection, hold: StoredHold) -> "CursorFactory[asyncpg.Record]":
    """Copies of calls, oldest first, to be read in the transaction of `connection`."""
    return connection.cursor(_CALLS, hold.account_id, hold.id, prefetch=_READ_AT_ONCE)


def held_errors(connection: Connection, hold: StoredHold) -> "CursorFactory[asyncpg.Record]":
    """Copies of errors, oldest first, to be read in the transaction of `connection`."""
    return connection.cursor(_ERRORS, hold.account_id, hold.id, prefetch=_READ_AT_ONCE)
