"""When an event is tried again: after twice as long each time, spread by chance, for three days."""

from datetime import datetime, timedelta
from typing import Final

GIVE_UP: Final = timedelta(days=3)
FIRST_S: Final = 5.0
LONGEST_S: Final = 6 * 3600.0
_SPREAD: Final = 0.25


def pause_before_next(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many failed attempts. `chance`: 0 to 1, so that many do not come back at once."""
    pause_s = min(FIRST_S * 2.0 ** min(attempts - 1, 32), LONGEST_S)
    return timedelta(seconds=pause_s * (1 - _SPREAD + 2 * _SPREAD * chance))


def is_over(since: datetime, now: datetime) -> bool:
    """Whether an event that was first tried `since` is given up after an attempt that failed `now`."""
    return now - since >= GIVE_UP
