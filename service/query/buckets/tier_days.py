"""Which days a check of sums looks at: whole UTC days of a tier, within the window of a store."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from policies.policy.model import Policy, Store
from policies.retention import EPOCH, cutoff

DAY: Final = timedelta(days=1)
END: Final = datetime.max.replace(tzinfo=UTC)
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
"""The tiers that accounts ever had."""


class TierDays(NamedTuple):
    """The time from `start` up to `end`, not included, in a tier; both are midnights of UTC, or `end` is `END`."""

    tier: int
    start: datetime
    end: datetime

    def parts(self, longest: timedelta) -> Iterator["TierDays"]:
        """The same in parts of at most `longest`; what has no end stays one."""
        start = self.start
        while self.end < END and start + longest < self.end:
            yield self._replace(start=start, end=start + longest)
            start += longest
        yield self._replace(start=start)


def midnight_after(moment: datetime) -> datetime:
    """The next midnight of UTC; `moment` itself where it is one."""
    return moment.astimezone(UTC) + (EPOCH - moment) % DAY


async def tiers_of(owner: asyncpg.Pool) -> list[int]:
    """Every tier that an account ever had, sorted."""
    return [tier for (tier,) in await owner.fetch(_TIERS)]


async def every_day(owner: asyncpg.Pool, now: datetime) -> list[TierDays]:
    """All of time, of every tier: up to tomorrow, and what comes then."""
    tomorrow = midnight_after(now)
    return [
        days
        for tier in await tiers_of(owner)
        for days in (TierDays(tier, EPOCH, tomorrow), TierDays(tier, tomorrow, END))
    ]


def within(
    tier_days: Iterable[TierDays], policy: Policy, store: Store, now: datetime, longest: timedelta
) -> Iterator[TierDays]:
    """The whole days of `tier_days` that are within the store's window, in parts of at most `longest`."""
    for days in tier_days:
        first = midnight_after(cutoff(policy, days.tier, store, now))
        if first < days.end:
            yield from days._replace(start=max(first, days.start)).parts(longest)
