"""The records of refused reports: counts by hour, account, source and reason, kept for a month."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.storage.connection import Connection, Queryable

KEPT: Final = timedelta(days=31)
"""How long counts of refused reports are kept."""

NO_ACCOUNT: Final = 0
"""The account id of reports whose account is not known."""

# Sorted, so that two processes that add to the same counts wait for each other and do not deadlock.
_ADD: Final = """
    INSERT INTO ingest_refusal AS kept (hour, account_id, source, reason, refused)
    SELECT * FROM unnest($1::timestamptz[], $2::integer[], $3::smallint[], $4::text[], $5::bigint[])
        AS added (hour, account_id, source, reason, refused)
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, account_id, source, reason) DO UPDATE SET refused = kept.refused + excluded.refused
"""
_FORGET: Final = "DELETE FROM ingest_refusal WHERE hour < clock_timestamp() - $1::interval"


class RefusalCount(NamedTuple):
    """The number of reports refused in one hour for one reason (or of requests, for reasons that refuse a request)."""

    hour: datetime
    account_id: int
    source: int
    reason: str
    refused: int


async def add_refusals(connection: Queryable, counts: Iterable[RefusalCount]) -> None:
    """Add counts to the recorded ones, all or nothing.

    No two of `counts` may be of the same hour, account, source and reason.
    """
    columns = zip(*counts, strict=True)
    await connection.execute(_ADD, *(list(column) for column in columns))


async def forget_refusals(connection: "asyncpg.Pool | Connection") -> None:
    """Delete the counts that are older than `KEPT`."""
    await connection.execute(_FORGET, KEPT)
