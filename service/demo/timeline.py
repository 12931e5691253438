"""When the demo's calls happen: more by day than by night, two launches, and hours in which a provider was down."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

DAYS: Final = 30
_HOUR: Final = timedelta(hours=1)
# Share of a day's requests by hour, UTC: people at work in three time zones, and jobs at two in the morning.
_BY_HOUR: Final = (3, 3, 9, 4, 3, 3, 4, 6, 9, 11, 11, 10, 9, 11, 13, 13, 12, 10, 9, 8, 7, 6, 5, 4)
_WEEKEND: Final = 0.45
_GROWTH: Final = 0.6


@dataclass(frozen=True, slots=True)
class Incident:
    """A provider that fails for a while, from ten past one, UTC, `days` before the end of the demo on."""

    provider: str
    days: int
    lasts: timedelta

    def at(self, moment: datetime, now: datetime) -> bool:
        """Whether it is under way at `moment`."""
        start = _at_noon(now, self.days) + timedelta(minutes=70)
        return start <= moment < start + self.lasts


def _at_noon(now: datetime, days: int) -> datetime:
    return (now - timedelta(days=days)).replace(hour=12, minute=0, second=0, microsecond=0)


INCIDENTS: Final = (Incident("openai", 6, timedelta(hours=3)), Incident("anthropic", 1, timedelta(minutes=80)))
# Launches: days before, hours that it lasts from noon on, and how many times the usual number of calls.
_LAUNCHES: Final = ((11, 3, 4.0), (2, 2, 3.0))


def down(provider: str, moment: datetime, now: datetime) -> bool:
    """Whether a provider is down at `moment`."""
    return any(one.provider == provider and one.at(moment, now) for one in INCIDENTS)


def moments(dice: random.Random, now: datetime, count: int) -> Iterator[datetime]:
    """`count` moments of the thirty days before `now`, ascending, in whole milliseconds."""
    first = now - timedelta(days=DAYS)
    hours = [first + number * _HOUR for number in range(DAYS * 24)]
    weights = [_weight(hour, first, now) for hour in hours]
    # Within its hour, and before `now`: there is nothing that has not happened yet.
    found = [hour + _HOUR * dice.random() for hour in dice.choices(hours, weights, k=count)]
    for moment in sorted(found):
        yield moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _weight(hour: datetime, first: datetime, now: datetime) -> float:
    weight = _BY_HOUR[hour.hour] * (_WEEKEND if hour.weekday() >= 5 else 1.0)
    weight *= 1 + _GROWTH * ((hour - first) / timedelta(days=DAYS))
    for days, hours, times in _LAUNCHES:
        if timedelta() <= hour - _at_noon(now, days) < hours * _HOUR:
            weight *= times
    return weight
