"""The sums of usage, day by day: each UTC day whose calls or sums have changed is compared with its calls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from policies.policy.model import Store
from policies.retention import EPOCH
from service.query.buckets.tier_days import DAY, END, TierDays, midnight_after, tiers_of
from service.query.usage.consistency import UsageDifference, check_usage
from service.query.usage.correction_check import check_corrections
from service.retention.audit.incremental.run import FsckRun
from service.retention.audit.incremental.states import days_of, sums_by_day
from service.retention.rollups.tag_check import TagDifference, check_tags, check_tags_of_all, summed_since
from service.retention.rollups.totals_check import DerivedDifference, check_derived_sums
from service.retention.rollups.unsummed_check import check_unsummed

_CHECK: Final = "usage"
_AT_ONCE: Final = timedelta(days=14)
"""The days that are compared before their results are stored."""
_HALF_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL"
"""Accounts whose erasure has begun and not ended."""

Difference = UsageDifference | DerivedDifference | TagDifference | int
"""What is wrong with a day; a number: that of an account whose corrections are."""


@dataclass(frozen=True, slots=True)
class CheckedUsage:
    """What was wrong, and in words what was looked at."""

    wrong: Sequence[Difference]
    looked_at: str


async def check_days(run: FsckRun) -> CheckedUsage:
    """Compare the days that have to be compared; results are stored of those in which nothing is wrong."""
    owner, results = run.context.owner, run.results
    # An account whose erasure waits for a hold still has its held calls, but their sums are deleted.
    half_erased = {account_id for (account_id,) in await owner.fetch(_HALF_ERASED)}
    tomorrow = midnight_after(run.now)
    states = await _states_of_days(run) if results.stored else None
    if states is None:
        due = [TierDays(tier, EPOCH, tomorrow) for tier in await tiers_of(owner)]
    else:
        due = _runs_of_days([
            key for key, state in states.items()
            if key[1] < tomorrow and await results.recall(_CHECK, _part(*key), state) is None
        ])  # fmt: skip
    wrong = list[Difference]()
    for days in due:
        found = await _differences(run, days, half_erased)
        wrong += found
        for tier, day, _ in days.parts(DAY) if states else ():
            state = states.get((tier, day)) if states and not found else None
            if state is None:
                results.checked(_CHECK)
            else:
                await results.keep(_CHECK, _part(tier, day), state)
    for tier in await tiers_of(owner):
        wrong += await _differences(run, TierDays(tier, tomorrow, END), half_erased)
    if states is None:
        return CheckedUsage(wrong, "every day")
    await results.end(_CHECK)
    return CheckedUsage(wrong, results.said(_CHECK, "days of tiers"))


async def _differences(run: FsckRun, days: TierDays, half_erased: set[int]) -> list[Difference]:
    owner, policy, one = run.context.owner, run.context.policy(), [days]
    wrong: list[Difference] = [
        found async for found in check_usage(owner, policy, one) if found.account_id not in half_erased
    ]
    wrong += [found async for found in check_derived_sums(owner, policy, one)]
    wrong += [found async for found in check_unsummed(owner, policy, one)]
    wrong += [found async for found in check_tags(owner, policy, one)]
    wrong += [found async for found in check_tags_of_all(owner, policy, one)]
    wrong += [account async for account in check_corrections(owner, policy, one) if account not in half_erased]
    return wrong


async def _states_of_days(run: FsckRun) -> Mapping[tuple[int, datetime], str]:
    """The state of every UTC day and tier that has calls or sums: partitions as counted, other sums by their digest."""
    owner, states = run.context.owner, await run.states()
    sums, tags = await sums_by_day(owner, run.results.seed), await summed_since(owner)
    counted: dict[tuple[int, datetime], str] = {}
    for part in await run.partitions(Store.CALL, Store.USAGE_QUARTER):
        for day in days_of(part):
            counted[part.tier, day] = f"{counted.get((part.tier, day), '')}; {states.of(part)}"
    found: dict[tuple[int, datetime], str] = {}
    for key in sorted(counted.keys() | sums.keys()):
        summed = sorted(tag for tag, since in tags.items() if since <= key[1])
        found[key] = f"{counted.get(key, '')}; {sums.get(key, '')}; {summed}"
    return found


def _runs_of_days(tier_days: Sequence[tuple[int, datetime]]) -> Iterator[TierDays]:
    """Days by tier, sorted, as runs without a gap of `_AT_ONCE` at most."""
    numbered = enumerate(tier_days)
    for _, run in groupby(numbered, key=lambda each: (each[1][0], each[1][1] - each[0] * DAY)):
        days = [tier_day for _, tier_day in run]
        yield from TierDays(days[0][0], days[0][1], days[-1][1] + DAY).parts(_AT_ONCE)


def _part(tier: int, day: datetime) -> str:
    return f"{tier} {day:%Y-%m-%d}"
