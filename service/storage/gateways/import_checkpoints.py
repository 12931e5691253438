"""How far imports have come that are not done: a source of rows by its digest, and a cursor that is the source's own.

Only the owner reads them. There is none of an import that reached its end.
"""

from datetime import timedelta
from typing import Final

import asyncpg

from service.storage.connection import Connection

KEPT: Final = timedelta(days=90)
"""How long an import that was broken off can be resumed."""

_FIND: Final = "SELECT cursor, rows FROM import_checkpoint WHERE source = $1"
_SAVE: Final = """
    INSERT INTO import_checkpoint (source, format, cursor, rows, saved_at)
    VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor, rows = excluded.rows, saved_at = excluded.saved_at
"""
_END: Final = "DELETE FROM import_checkpoint WHERE source = $1"
_FORGET: Final = "DELETE FROM import_checkpoint WHERE saved_at < clock_timestamp() - $1::interval"


async def find_checkpoint(owner: asyncpg.Pool, source: bytes) -> tuple[str, int] | None:
    """The cursor behind which an import of this source goes on, and how many rows are before it; None for none."""
    row = await owner.fetchrow(_FIND, source)
    return None if row is None else (row["cursor"], row["rows"])


async def save_checkpoint(owner: asyncpg.Pool, source: bytes, form: str, cursor: str, rows: int) -> None:
    """Note that everything up to `cursor` is stored, which is so many rows."""
    await owner.execute(_SAVE, source, form, cursor, rows)


async def end_checkpoint(owner: asyncpg.Pool, source: bytes) -> None:
    """Forget how far an import has come: it is done, or to be begun anew."""
    await owner.execute(_END, source)


async def forget_checkpoints(connection: "asyncpg.Pool | Connection") -> None:
    """Delete the checkpoints that no import has continued from."""
    await connection.execute(_FORGET, KEPT)
