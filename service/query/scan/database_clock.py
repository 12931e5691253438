"""The database's clock, asked now and then: what decides the window is the same for every process."""

import time
from datetime import datetime, timedelta

import asyncpg

from service.query.model.errors import QueryTimeoutError
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
        """The time; asks the database when it has to, and raises QueryTimeoutError when that does not answer."""
        return self.cached() or await self.refresh()

    def cached(self) -> datetime | None:
        """The time, as long as the measurement is trusted."""
        if self._measured is None:
            return None
        asked, told = self._measured
        since = time.monotonic() - asked
        return None if since > _TRUSTED_SECONDS else told + timedelta(0, since)

    async def refresh(self) -> datetime:
        """The time, measured anew. Raises QueryTimeoutError."""
        asked = time.monotonic()
        try:
            async with self._database.reading(None) as connection:
                told = await connection.fetchval(_NOW)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None
        self._measured = (asked, told)
        return told + timedelta(0, time.monotonic() - asked)
