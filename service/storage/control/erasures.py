"""Erasures, as far as others have to know that there were some."""

from typing import Final

import asyncpg

from service.storage.connection import Connection

_SO_FAR: Final = "SELECT count(*) || ' asked for, ' || count(finished_at) || ' finished' FROM erasure"
"""How many erasures were asked for, and how many of them are finished."""


async def erasures_so_far(connection: Connection | asyncpg.Pool) -> str:
    """A text that changes with each erasure, when it is asked for and when it has finished."""
    return await connection.fetchval(_SO_FAR)
