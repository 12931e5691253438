"""When an event is tried again: after twice as long each time, spread by chance, for three days."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

GIVE_UP: Final = timedelta(days=3)
FIRST_S: Final = 5.0
LONGEST_S: Final = 6 * 3600.0
_SPREAD: Final = 0.25
_DEATHS: Final = 8


def failures_since(since: datetime, attempts: Sequence[Mapping[str, Any]]) -> int:
    """How many failures the attempts since a moment amount to, as `DeliveryRecord.attempts` has them.

    One without an end is that of a process or a database that was killed, which says nothing of the receiver: eight of
    them are one failure, so that an event that kills its process is tried less often too.
    """
    ended = ["ms" in one for one in attempts if datetime.fromisoformat(one["at"]) >= since]
    return sum(ended) + ended.count(False) // _DEATHS


def pause_before_next(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many failed attempts. `chance`: 0 to 1, so that many do not come back at once."""
    pause_s = min(FIRST_S * 2.0 ** min(attempts - 1, 32), LONGEST_S)
    return timedelta(seconds=pause_s * (1 - _SPREAD + 2 * _SPREAD * chance))


def is_over(since: datetime, now: datetime) -> bool:
    """Whether an event that was first tried `since` is given up after an attempt that failed `now`."""
    return now - since >= GIVE_UP
