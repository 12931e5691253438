"""The records of mutations that were asked with an `Idempotency-Key`, kept for a day. Only the owner reads them."""

from datetime import timedelta
from typing import Final

import asyncpg

from service.storage.connection import Connection, Queryable

KEPT: Final = timedelta(hours=24)
"""For how long a repeated request is recognised."""

# A record that is past its day is another request's from then on.
_BEGIN: Final = """
    INSERT INTO idempotency_key AS known (asked_by, key, request, asked_at, done)
    VALUES ($1, $2, $3, clock_timestamp(), false)
    ON CONFLICT (asked_by, key) DO UPDATE
    SET request = excluded.request, asked_at = excluded.asked_at, done = false, answer = NULL
    WHERE known.asked_at < clock_timestamp() - $4::interval
    RETURNING true
"""
_KNOWN: Final = """
    SELECT request, done, answer, clock_timestamp() - asked_at AS age FROM idempotency_key
    WHERE asked_by = $1 AND key = $2
"""
_DONE: Final = "UPDATE idempotency_key SET done = true, answer = $3 WHERE asked_by = $1 AND key = $2 AND NOT done"
_TAKE_BACK: Final = "DELETE FROM idempotency_key WHERE asked_by = $1 AND key = $2 AND NOT done"
_FORGET: Final = "DELETE FROM idempotency_key WHERE asked_at < clock_timestamp() - $1::interval"
_FORGET_ANSWERS: Final = "UPDATE idempotency_key SET answer = NULL WHERE answer IS NOT NULL"


async def begin_request(pool: asyncpg.Pool, asked_by: str, key: bytes, request: bytes) -> asyncpg.Record | None:
    """Record that a request has begun; None if it is new, else the record that is there: `request`, `done`, `answer`
    and `age`.
    """
    async with pool.acquire() as connection:
        while not await connection.fetchval(_BEGIN, asked_by, key, request, KEPT):
            known = await connection.fetchrow(_KNOWN, asked_by, key)
            if known is not None:
                return known
    return None


async def end_request(pool: asyncpg.Pool, asked_by: str, key: bytes, answer: str | None) -> None:
    """Record that the request was carried out, and its answer if that may be kept."""
    await pool.execute(_DONE, asked_by, key, answer)


async def take_back_request(pool: asyncpg.Pool, asked_by: str, key: bytes) -> None:
    """Forget a request that was refused: nothing was done for it."""
    await pool.execute(_TAKE_BACK, asked_by, key)


async def forget_requests(connection: "asyncpg.Pool | Connection") -> None:
    """Delete the records that are past their day."""
    await connection.execute(_FORGET, KEPT)


async def forget_answers(connection: Queryable) -> None:
    """Delete every answer, in the transaction of an erasure: one of them may be about whoever is erased."""
    await connection.execute(_FORGET_ANSWERS)
