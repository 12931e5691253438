"""The database's clock, asked now and then: what decides the window is the same for every process."""

import time
from datetime import datetime, timedelta

import asyncpg

from service.query.errors import QueryTimeoutError
from service.storage.database import Database

_NOW = "SELECT clock_timestamp()"
_TRUSTED_SECONDS = 10.0


class DatabaseClock:
    """Tells the database's time from a measurement of a few seconds ago and our own monotonic clock.

    It runs behind the database by no more than a round trip, and asking costs nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._measured: tuple[float, datetime] | None = None

    async def now(self) -> datetime:
        measured = self._measured
        if measured is None or time.monotonic() - measured[0] > _TRUSTED_SECONDS:
            asked = time.monotonic()
            try:
                async with self._database.reading(None) as connection:
                    measured = self._measured = (asked, await connection.fetchval(_NOW))
            except asyncpg.QueryCanceledError:
                raise QueryTimeoutError from None
        return measured[1] + timedelta(seconds=time.monotonic() - measured[0])
