"""Refused reports on record: counts by hour, account, source and reason, kept for a month."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from service.storage.connection import Connection, Queryable

KEPT: Final = timedelta(days=31)
"""How long counts of refused reports are kept."""

NO_ACCOUNT: Final = 0
"""Stands for the account where it is not known whose report it was."""

# In order, so that two processes that count the same wait for each other and do not deadlock.
_ADD: Final = """
    INSERT INTO ingest_refusal AS kept (hour, account_id, source, reason, refused)
    SELECT * FROM unnest($1::timestamptz[], $2::integer[], $3::smallint[], $4::text[], $5::bigint[])
        AS added (hour, account_id, source, reason, refused)
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, account_id, source, reason) DO UPDATE SET refused = kept.refused + excluded.refused
"""
_FORGET: Final = "DELETE FROM ingest_refusal WHERE hour < clock_timestamp() - $1::interval"


class RefusalCount(NamedTuple):
    """So many reports (or requests, for reasons that refuse these as a whole) were refused in one hour."""

    hour: datetime
    account_id: int
    source: int
    reason: str
    refused: int


async def add_refusals(connection: Queryable, counts: Iterable[RefusalCount]) -> None:
    """Add to what is on record, all or nothing; no two of `counts` are of the same hour, account, source and reason."""
    columns = zip(*counts, strict=True)
    await connection.execute(_ADD, *(list(column) for column in columns))


async def forget_refusals(connection: "asyncpg.Pool | Connection") -> None:
    """Delete what is older than it is kept."""
    await connection.execute(_FORGET, KEPT)
