"""How many calls a list has, from rollups where they can tell which calls match: exact to the microsecond.

What a window or a filter cuts inside a quarter hour is counted among the calls, as `costs` does it.

An account that is being erased loses its calls and its sums in steps, in no order that a reader could lean on; and of
one that is erased a hold can keep calls without sums. So whatever sums it still has are taken out, and the calls that
it still has are counted one by one, in the one statement: exact before, between and after the steps.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.query.model.catalog import CALLS
from service.query.model.parameters import Params
from service.query.records.page import ListRead
from service.query.scan import statements
from service.query.scan.ranges import FAR_FUTURE, FAR_PAST, ScanRange
from service.query.usage.plan import Plan, RetentionWindows, TierPeriod, segments_of
from service.query.usage.report_sql import CURRENCY, SUMS
from service.query.usage.union_sql import UsageRead as UsageReading
from service.query.usage.union_sql import UsageUnion, rollups_answer
from service.storage.citus.engine import engine_on
from service.storage.cold.tier import GivenRows
from service.storage.connection import Connection
from service.storage.statements.unsummed import any_unsummed


async def count_rows(connection: Connection, reading: ListRead) -> int:
    """How many rows the list has in all; the statement timeout bounds the wait."""
    if not reading.scan_ranges:
        return 0
    params, given = Params(), None
    usages = _usages(reading, unsummed=engine_on(connection).leaves_days_unsummed)
    if reading.cold is not None:
        if usages is None:
            parts = [
                (
                    one.tier,
                    max(reading.time_range.start or one.cutoff, one.cutoff),
                    reading.time_range.end or FAR_FUTURE,
                )
                for one in reading.scan_ranges
            ]
        else:
            parts = [part for usage in usages for part in usage.windows.calls_of(usage.plan.segments)]
        given = await reading.cold.single_calls(dict.fromkeys(parts), reading.account_ids)
    if usages is None:
        sql = _one_by_one(reading, reading.scan_ranges, params, given)
        return await connection.fetchval(sql, *params.values) or 0
    for lacking in (reading.unsummed, None):
        params = Params()
        sql = _by_rollups(reading, [replace(usage, given=given, lacking=lacking) for usage in usages], params)
        if (count := await connection.fetchval(sql, *params.values)) is not None:
            return count
    raise AssertionError("where calls are read in the stead of sums, there is a number")


def _one_by_one(
    reading: ListRead, scan_ranges: Sequence[ScanRange], params: Params, given: GivenRows | None = None
) -> str:
    conditions = [reading.condition(params), *reading.only]
    return statements.count(reading.table, scan_ranges, reading.time_range, conditions, params, given)


def _usages(reading: ListRead, *, unsummed: bool) -> list[UsageReading] | None:
    """The usage of each tier; None when rollups cannot tell, or no longer hold all of it."""
    if reading.table is not CALLS or not rollups_answer(reading.predicate):
        return None
    cutoffs = {scan_range.tier: scan_range.cutoff for scan_range in reading.scan_ranges}
    usages = [replace(_usage(reading, tier, cutoff), unsummed=unsummed) for tier, cutoff in sorted(cutoffs.items())]
    held = all(usage.windows.holds(segment) for usage in usages for segment in usage.plan.segments)
    return usages if held else None


def _by_rollups(reading: ListRead, usages: Sequence[UsageReading], params: Params) -> str:
    """The statement that adds up sums, and counts the calls of erased accounts; null where sums lack days that they
    were taken to have.
    """
    assumed = set[str]()
    counts = [_summed(usage, "calls", params, assumed) for usage in usages]
    if erased := _erased(reading):
        account_ids = erased[0].accounts
        counts += [_summed(replace(usage, accounts=account_ids), "-calls", params, assumed) for usage in usages]
        counts.append(f"SELECT ({_one_by_one(reading, erased, params)}) AS calls")
    lacking = f" HAVING NOT {any_unsummed(sorted(assumed))}" if assumed else ""
    counted = f"({' UNION ALL '.join(counts)}) AS counted"
    return f"SELECT coalesce(sum(calls), 0)::bigint FROM {counted}{lacking}"  # noqa: S608 - our own pieces


def _summed(usage: UsageReading, calls: str, params: Params, assumed: set[str]) -> str:
    """The part that sums calls of some rollups; adds to `assumed` as `UsageUnion` does."""
    union = UsageUnion(usage, {"currency": CURRENCY}, params)
    rows = union.sums({"calls": SUMS["calls"]})
    assumed |= union.assumed
    return f"SELECT {calls} AS calls FROM ({rows}) AS summed"  # noqa: S608 - our own pieces


def _usage(reading: ListRead, tier: int, cutoff: datetime) -> UsageReading:
    """The usage of one tier from its own cut-off on."""
    start, end = max(reading.time_range.start or cutoff, cutoff), reading.time_range.end or FAR_FUTURE
    scope = reading.scope
    return UsageReading(
        Plan(segments_of(start, end), start, end),
        RetentionWindows(scope.policy, [TierPeriod(tier, FAR_PAST, None)], reading.now),
        scope.policy,
        reading.account_ids,
        reading.names,
        reading.predicate,
        {},
    )


def _erased(reading: ListRead) -> list[ScanRange]:
    """Where calls of erased accounts can be, as far as they are asked for."""
    account_ids = reading.account_ids
    erased_ids = sorted(account_id for account_id in reading.erased if account_ids is None or account_id in account_ids)
    tiers = {scan_range.tier: scan_range for scan_range in reading.scan_ranges}
    return [scan_range._replace(accounts=tuple(erased_ids)) for scan_range in tiers.values()] if erased_ids else []
