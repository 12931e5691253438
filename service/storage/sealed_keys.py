"""The keys that the sealed details in the database were sealed with."""

from typing import Final

import asyncpg

_SEALED: Final = """
    SELECT DISTINCT tier, (occurred_at AT TIME ZONE 'UTC')::date AS day, account_id
    FROM call_error WHERE sealed IS NOT NULL ORDER BY tier, day, account_id
"""


async def sealed_with(owner: asyncpg.Pool) -> list[tuple[int, str, int]]:
    """Tier, UTC day `2026-11-22` and account of everything sealed, each once, in this order."""
    return [(row["tier"], row["day"].isoformat(), row["account_id"]) for row in await owner.fetch(_SEALED)]
