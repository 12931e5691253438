"""The database's time, which retention cut-offs are worked out for, and what else each process looks up as often."""

import time
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.query.model.errors import QueryTimeoutError
from service.storage.cold import catalogue
from service.storage.cold.catalogue import ColdFile
from service.storage.connection import one_row
from service.storage.database import Database
from service.storage.statements import unsummed
from service.storage.statements.unsummed import UnsummedDays
from service.storage.statements.write import LOGS_PARAMETERS

_NOW: Final = f"""
    SELECT clock_timestamp() AS now, {catalogue.AS_JSON} AS files, {LOGS_PARAMETERS} AS logs,
        {unsummed.AS_JSON} AS unsummed
"""
"""The database's time, which files of calls there are, whether its log gets the parameters of statements, and which
tables of sums lack days.
"""
_TRUSTED_SECONDS: Final = 10.0


class DatabaseClock:
    """The database's time, from a measurement of at most ten seconds ago and our own monotonic clock.

    It runs behind the database by no more than a round trip; most readings run no statement. `ahead`: by how much it is
    fast, for who reads what may still be shown then.
    """

    def __init__(self, database: Database, ahead: timedelta = timedelta()) -> None:
        self._database = database
        self._ahead = ahead
        self._measured: tuple[float, datetime] | None = None
        self.logs_parameters = False
        """Whether the server writes parameters into its log: rows of files are no parameters then."""
        self.files_at = 0.0
        """When `files` was read, by the monotonic clock."""
        self.files: tuple[ColdFile, ...] = ()
        """The files of calls at the last measurement. One is listed for longer than this is trusted before it answers
        for its rows (`service.retention.cold`)."""
        self.unsummed: UnsummedDays = {}
        """Which tables of sums lacked days at the last measurement. Others may by now: who leaves their calls out asks
        whether that was right (`CostStatement`)."""

    async def now(self) -> datetime:
        """The time, measured anew when the last measurement is too old. Raises QueryTimeoutError."""
        return self.cached() or await self.refresh()

    def cached(self) -> datetime | None:
        """The time by the last measurement; None when that is too old."""
        if self._measured is None:
            return None
        measured_at, moment = self._measured
        since = time.monotonic() - measured_at
        return None if since > _TRUSTED_SECONDS else moment + timedelta(0, since)

    async def refresh(self) -> datetime:
        """The time, measured anew. Raises QueryTimeoutError."""
        measured_at = time.monotonic()
        try:
            async with self._database.reading(None) as connection:
                moment, files, self.logs_parameters, lacking = await one_row(connection, _NOW)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None
        moment += self._ahead
        self.files, self.files_at = catalogue.from_json(files), measured_at
        self.unsummed = unsummed.from_json(lacking)
        self._measured = (measured_at, moment)
        return moment + timedelta(0, time.monotonic() - measured_at)
