"""What `calledger fsck` proves: nothing is overdue, every row is where it belongs, and what is sealed has its key."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import asyncpg

from policies.model import Policy, Store
from policies.retention import GRACE, Earlier, Partition, cutoff, deadline, due_at
from service.query.usage_check import UsageDifference, check_usage
from service.retention.errors import PurgeClockError
from service.retention.fsck_keys import check_erasures, check_holds, check_keys
from service.retention.fsck_record import check_record
from service.retention.means import EarlierPolicyError, Means
from service.retention.overall_check import OverallDifference, check_overall
from service.retention.planning import all_partitions
from service.retention.runs import Runs
from service.storage.partitions import Partitions

_NAMED_MAX: Final = 5

# The tier of a row is a function of account and time; a row elsewhere is in a partition that is not its own.
_ELSEWHERE: Final = """
    WITH span AS (
        SELECT account_id, tier, from_at,
               lead(from_at, 1, 'infinity') OVER (PARTITION BY account_id ORDER BY from_at) AS until_at
        FROM account_tier
    )
    SELECT count(*) FROM {store} AS kept
    LEFT JOIN span
        ON span.account_id = kept.account_id AND kept.{time} >= span.from_at AND kept.{time} < span.until_at
    WHERE span.tier IS DISTINCT FROM kept.tier
"""
_ELSEWHERE_BY_STORE: Final = {
    Store.CALL: _ELSEWHERE.format(store="call", time="started_at"),
    Store.CALL_ERROR: _ELSEWHERE.format(store="call_error", time="started_at"),
    Store.USAGE_QUARTER: _ELSEWHERE.format(store="usage_quarter", time="bucket_at"),
    Store.USAGE_DAY: _ELSEWHERE.format(store="usage_day", time="bucket_at"),
}
_LEADS_NOWHERE: Final = """
    SELECT count(*) FROM call
    WHERE tier = $1 AND error_at >= $2 AND NOT EXISTS (
        SELECT FROM call_error AS led
        WHERE led.account_id = call.account_id AND led.tier = call.tier
            AND led.occurred_at = call.error_at AND led.id = call.id
    )
"""
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
_HALF_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `detail` says how much was looked at, or what is wrong and what to do."""

    check: str
    ok: bool
    detail: str


async def check_ledger(means: Means) -> AsyncIterator[Finding]:
    """Every check in turn, each yielded when it is done. Changes nothing; the service may run meanwhile."""
    owner, policy = means.owner, means.policy()
    yield await _clocks(means)
    now: datetime = await owner.fetchval("SELECT clock_timestamp()")
    there = await all_partitions(means.partitions)
    yield _deadlines(policy, there, now, await _earlier(means, now))
    yield await _partitions(means.partitions, policy, there, owner)
    yield await _purges(now, owner)
    yield await _rows(owner)
    checks = {"keys": check_keys, "holds": check_holds, "erasures": check_erasures, "record": check_record}
    for check, run in checks.items():
        wrong, looked_at = await run(means, now)
        yield Finding(check, not wrong, _some(wrong) if wrong else looked_at)
    yield await _errors(owner, policy, now)
    yield await _usage(owner, policy)


async def _clocks(means: Means) -> Finding:
    try:
        await means.now()
    except PurgeClockError as error:
        return Finding("clocks", False, str(error))
    return Finding("clocks", True, "the database's agrees with this machine's")


async def _earlier(means: Means, now: datetime) -> tuple[Earlier, ...]:
    try:
        return await means.earlier(now)
    except EarlierPolicyError:
        return ()


def _deadlines(policy: Policy, there: Sequence[Partition], now: datetime, earlier: Sequence[Earlier]) -> Finding:
    overdue = [part.name for part in there if deadline(policy, part, earlier) <= now]
    if overdue:
        return Finding("deadlines", False, f"overdue: {_some(overdue)}; run `calledger purge`")
    waiting = sum(due_at(policy, part, earlier) <= now for part in there)
    return Finding("deadlines", True, f"{len(there)} partitions, {waiting} of them due and none overdue")


async def _partitions(
    partitions: Partitions, policy: Policy, there: Sequence[Partition], owner: asyncpg.Pool
) -> Finding:
    """Nothing but our own partitions, of tiers that the policy knows, and no table that a purge has forgotten."""
    foreign = [name for store in Store for name in await partitions.foreign(store)]
    if foreign:
        return Finding("partitions", False, f"not made by calledger, and never purged: {_some(foreign)}")
    known = {tier.number for tier in policy.tiers.values()}
    unknown = [part.name for part in there if part.tier not in known]
    if unknown:
        return Finding("partitions", False, f"of a tier that the policy does not name: {_some(unknown)}")
    planned = {part.name for run in await Runs(owner).unfinished() for part in run.plan.partitions}
    forgotten = sorted(await partitions.detached() - planned)
    if forgotten:
        return Finding("partitions", False, f"detached and in no purge's plan: {_some(forgotten)}; drop them")
    return Finding("partitions", True, f"{len(there)}, each of one tier and time")


async def _purges(now: datetime, owner: asyncpg.Pool) -> Finding:
    stuck = [run for run in await Runs(owner).unfinished() if run.planned_at < now - GRACE]
    if stuck:
        reason = stuck[0].failure or "no service has gone on with it"
        return Finding("purges", False, f"`{stuck[0].id}` is unfinished after a day: {reason}")
    return Finding("purges", True, "none is overdue")


async def _rows(owner: asyncpg.Pool) -> Finding:
    wrong = {store: await owner.fetchval(statement) for store, statement in _ELSEWHERE_BY_STORE.items()}
    if any(wrong.values()):
        counts = ", ".join(f"{count} of {store}" for store, count in wrong.items() if count)
        return Finding("rows", False, f"in another tier than their account's at that time: {counts}")
    return Finding("rows", True, "each is in the tier of its account and time")


async def _errors(owner: asyncpg.Pool, policy: Policy, now: datetime) -> Finding:
    lost = 0
    for (tier,) in await owner.fetch(_TIERS):
        lost += await owner.fetchval(_LEADS_NOWHERE, tier, cutoff(policy, tier, Store.CALL_ERROR, now))
    if lost:
        return Finding("errors", False, f"{lost} calls lead to an error record that is not there")
    return Finding("errors", True, "each call that failed within the window leads to its record")


async def _usage(owner: asyncpg.Pool, policy: Policy) -> Finding:
    # Of an account that is erased as far as a hold lets it be, the held calls are there and their sums are not.
    half_erased = {number for (number,) in await owner.fetch(_HALF_ERASED)}
    wrong = [_difference(found) async for found in check_usage(owner, policy) if found.account_id not in half_erased]
    if wrong:
        return Finding("usage", False, f"{len(wrong)} days differ from their calls: {_some(wrong)}")
    wrong = [_overall_difference(found) async for found in check_overall(owner, policy)]
    if wrong:
        return Finding("usage", False, f"{len(wrong)} days of sums differ from their rollup: {_some(wrong)}")
    return Finding("usage", True, "rollups and deltas are the sums of the calls")


def _difference(found: UsageDifference) -> str:
    return (
        f"{found.store} of account {found.account_id} on {found.day:%Y-%m-%d} "
        f"(calls {found.calls_summed or 0} instead of {found.calls_stored or 0})"
    )


def _overall_difference(found: OverallDifference) -> str:
    return f"{found.table} of tier {found.tier} on {found.day:%Y-%m-%d} ({found.keys} keys, against {found.store})"


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(islice(names, _NAMED_MAX))
    return listed if len(names) <= _NAMED_MAX else f"{listed} and {len(names) - _NAMED_MAX} more"
