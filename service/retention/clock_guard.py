"""The guard of the clock: a purge destroys by the time, so the time must be certain.

1. The database's clock decides. One that differs from this machine's by more than five minutes stops every purge.
2. Running services purge hourly and record when. If more than a day has passed since the latest record, either nothing
   ran, or the clock has jumped, and at that time the two cannot be told apart. So what is due then is planned and
   recorded at once, and carried out an hour later at the earliest, by any process: in that hour a clock that was set
   wrong can be set right. If the clock has gone back behind the plan by then, the plan is dropped. A machine that was
   off is late by an hour or by one start. A time that was refused does not count as a record, and neither does one that
   turned out to be in the future, when its time has come (`Runs.last_seen`). Holds do not expire meanwhile.
3. A caller who names the plan's digest (`calledger purge --plan DIGEST`) has seen what will be destroyed, and does not
   wait.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from service.retention.errors import PurgeClockError

DIFFERENCE_MAX: Final = timedelta(minutes=5)
GAP_MAX: Final = timedelta(days=1)
WAIT: Final = timedelta(hours=1)

Clock = Callable[[], datetime]


def machine_clock() -> datetime:
    """This machine's time, in UTC."""
    return datetime.now(UTC)


async def trusted_now(owner: asyncpg.Pool, clock: Clock = machine_clock) -> datetime:
    """The database's time, aware UTC; PurgeClockError when it is more than five minutes off this machine's."""
    before = clock()
    now: datetime = await owner.fetchval("SELECT clock_timestamp()")
    if not before - DIFFERENCE_MAX <= now <= clock() + DIFFERENCE_MAX:
        seconds = abs((now - before).total_seconds())
        raise PurgeClockError(
            f"the database's clock is {seconds:.0f} seconds off this machine's: set both right; nothing was purged"
        )
    return now
