"""What each API key may still spend: one level for all processes of all services on a database.

The level falls by what is spent and rises to a capacity within a minute. The table is unlogged: a crash of the database
fills every level.
"""

from typing import Final

import asyncpg

from service.storage.connection import Queryable, one_row

# What was spent is taken in any case, into a debt of one capacity ($4) at most. An operation that was granted at a full
# level for more than two capacities leaves a deeper one, which stays until it is restored.
_SETTLE: Final = """
    INSERT INTO key_spending AS known (key_id, level, granted, settled_at)
    SELECT
        $1::text, after - CASE WHEN after >= least($3::float8, $4) THEN $3 ELSE 0 END, after >= least($3, $4),
        clock_timestamp()
    FROM greatest(least($4::float8, $4 - $2::float8), -$4) AS after
    ON CONFLICT (key_id) DO UPDATE SET (level, granted, settled_at) = (
        SELECT after - CASE WHEN after >= least($3, $4) THEN $3 ELSE 0 END, after >= least($3, $4), now
        FROM clock_timestamp() AS now, LATERAL (
            SELECT known.level + $4 / 60 * greatest(extract(epoch FROM now - known.settled_at)::float8, 0)
        ) AS restored (level), LATERAL (
            SELECT greatest(least($4, least($4, restored.level) - $2), least(-$4, restored.level))
        ) AS spent (after)
    )
    RETURNING level, granted
"""
"""A key's level, after what a process has spent since it asked last ($2), and what it asks for now ($3)."""
_FORGET: Final = """
    DELETE FROM key_spending
    WHERE settled_at < clock_timestamp() - CASE WHEN level < 0 THEN interval '30 days' ELSE interval '1 hour' END
"""
"""The levels that are full. A debt is restored by one capacity a minute, and may be many of them."""


async def settle(source: Queryable, key_id: str, spent: float, asked: float, capacity: float) -> tuple[float, bool]:
    """Take `spent` (negative: give back), and `asked` if there is as much: the level then, and whether it was enough.

    What is more than the capacity is granted when the level is full. `source` writes as the role of the ways in.
    """
    row = await one_row(source, _SETTLE, key_id, float(spent), float(asked), float(capacity))
    return row["level"], row["granted"]


async def forget_spending(owner: asyncpg.Pool) -> None:
    """Delete the levels that have long been full."""
    await owner.execute(_FORGET)
