"""What `calledger fsck` proves: nothing is overdue, every row is where it belongs, and what is sealed has its key."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import GRACE, Earlier, cutoff, deadline, due_at
from service.errors import CalledgerError
from service.query.usage.consistency import UsageDifference, check_usage
from service.query.usage.correction_check import check_corrections
from service.retention.audit.fsck_catalogue import (
    check_catalogue,
    check_definitions,
    check_history,
    check_ledger_columns,
    check_ledger_mirror,
    check_ledger_notes,
)
from service.retention.audit.fsck_keys import Result, check_erasures, check_holds, check_keys
from service.retention.audit.fsck_record import check_record
from service.retention.audit.fsck_sealed import check_keyring, check_sealed
from service.retention.audit.record_check import COMPARED, check_of
from service.retention.context import EarlierPolicyError, RetentionContext
from service.retention.errors import PurgeClockError
from service.retention.purge.detached import described, detached_partitions
from service.retention.purge_runs import Runs
from service.retention.rollups.totals_check import OverallDifference, check_overall

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
_FORGOTTEN: Final = "attach what is within its window to its store again, drop what is past it"
_REBUILD: Final = "if the calls are right, `calledger rebuild-sums` makes the sums anew from them"
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
_HALF_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `detail` says how much was looked at, or what is wrong and what to do.

    Not `looked`: nothing was found out, and `detail` says why. Such a check is never `ok`.
    """

    check: str
    ok: bool
    detail: str
    looked: bool = True


Check = Callable[[RetentionContext, datetime], Awaitable[Finding]]


async def check_ledger(context: RetentionContext, *, deep: bool = False) -> AsyncIterator[Finding]:
    """Every check in turn, each yielded when it is done. Changes nothing; the service may run meanwhile.

    `deep`: everything that is sealed is opened, and not a sample.

    A check that cannot look (the keyring is away, a table is locked for long) says so, and the others go on.
    """
    now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
    deeper = {"sealed": _of("sealed", partial(check_sealed, deep=True))} if deep else {}
    for name, check in {**CHECKS, **deeper}.items():
        yield await _looked(name, check, context, now)


async def _looked(name: str, check: Check, context: RetentionContext, now: datetime) -> Finding:
    try:
        return await check(context, now)
    except CalledgerError as error:
        return Finding(name, False, f"not looked at: {error}", looked=False)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return Finding(name, False, f"not looked at: the database said {type(error).__name__}", looked=False)


def _of(name: str, check: Callable[[RetentionContext, datetime], Awaitable[Result]]) -> Check:
    """A check that answers what is wrong, and what it looked at."""

    async def run(context: RetentionContext, now: datetime) -> Finding:
        wrong, looked_at = await check(context, now)
        return Finding(name, not wrong, _some(wrong) if wrong else looked_at)

    return run


async def _clocks(context: RetentionContext, _: datetime) -> Finding:
    try:
        await context.now()
    except PurgeClockError as error:
        return Finding("clocks", False, str(error))
    return Finding("clocks", True, "the database's agrees with this machine's")


async def _earlier(context: RetentionContext, now: datetime) -> tuple[Earlier, ...]:
    try:
        return await context.earlier(now)
    except EarlierPolicyError:
        return ()


async def _deadlines(context: RetentionContext, now: datetime) -> Finding:
    catalogue, policy, earlier = await context.partitions.catalogue(), context.policy(), await _earlier(context, now)
    outside = await detached_partitions(context, catalogue)
    there = [*catalogue.partitions, *(one.partition for one in outside if not one.pending)]
    overdue = [part.name for part in there if deadline(policy, part, earlier) <= now]
    if overdue:
        return Finding("deadlines", False, f"overdue: {_some(overdue)}; run `calledger purge`")
    waiting = sum(due_at(policy, part, earlier) <= now for part in there)
    return Finding("deadlines", True, f"{len(there)} partitions, {waiting} of them due and none overdue")


async def _partitions(context: RetentionContext, _: datetime) -> Finding:
    """Nothing but our own partitions, of tiers that the policy knows, and none outside its store but for a purge."""
    partitions, policy = context.partitions, context.policy()
    catalogue = await partitions.catalogue(sized=False)
    there = catalogue.partitions
    foreign = [name for store in Store for name in await partitions.foreign(store)]
    if foreign:
        return Finding("partitions", False, f"not made by calledger, and never purged: {_some(foreign)}")
    known = {tier.number for tier in policy.tiers.values()}
    unknown = [part.name for part in there if part.tier not in known]
    if unknown:
        return Finding("partitions", False, f"of a tier that the policy does not name: {_some(unknown)}")
    outside = await detached_partitions(context, catalogue)
    forgotten = described(one for one in outside if not one.planned)
    if forgotten:
        return Finding("partitions", False, f"in no purge's plan: {_some(forgotten)}; {_FORGOTTEN}")
    return Finding("partitions", True, f"{len(there)}, each of one tier and time")


async def _purges(context: RetentionContext, now: datetime) -> Finding:
    stuck = [run for run in await Runs(context.owner).unfinished() if run.planned_at < now - GRACE]
    if stuck:
        reason = stuck[0].failure or "no service has gone on with it"
        return Finding("purges", False, f"`{stuck[0].id}` is unfinished after a day: {reason}")
    return Finding("purges", True, "none is overdue")


async def _rows(context: RetentionContext, _: datetime) -> Finding:
    wrong = {store: await context.owner.fetchval(statement) for store, statement in _ELSEWHERE_BY_STORE.items()}
    if any(wrong.values()):
        counts = ", ".join(f"{count} of {store}" for store, count in wrong.items() if count)
        return Finding("rows", False, f"in another tier than their account's at that time: {counts}")
    return Finding("rows", True, "each is in the tier of its account and time")


async def _errors(context: RetentionContext, now: datetime) -> Finding:
    owner, policy, lost = context.owner, context.policy(), 0
    for (tier,) in await owner.fetch(_TIERS):
        lost += await owner.fetchval(_LEADS_NOWHERE, tier, cutoff(policy, tier, Store.CALL_ERROR, now))
    if lost:
        return Finding("errors", False, f"{lost} calls lead to an error record that is not there")
    return Finding("errors", True, "each call that failed within the window leads to its record")


async def _usage(context: RetentionContext, _: datetime) -> Finding:
    owner, policy = context.owner, context.policy()
    # Of an account that is erased as far as a hold lets it be, the held calls are there and their sums are not.
    half_erased = {number for (number,) in await owner.fetch(_HALF_ERASED)}
    wrong = [_difference(found) async for found in check_usage(owner, policy) if found.account_id not in half_erased]
    if wrong:
        return Finding("usage", False, f"{len(wrong)} days differ from their calls: {_some(wrong)}; {_REBUILD}")
    wrong = [_overall_difference(found) async for found in check_overall(owner, policy)]
    if wrong:
        return Finding(
            "usage", False, f"{len(wrong)} days of sums differ from their rollup: {_some(wrong)}; {_REBUILD}"
        )
    short = [account async for account in check_corrections(owner, policy) if account not in half_erased]
    if short:
        named = _some([f"account {account}" for account in sorted(set(short))])
        return Finding("usage", False, f"corrections by their own time differ from those beside their calls: {named}")
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


CHECKS: Final[Mapping[str, Check]] = {
    "clocks": _clocks,
    "deadlines": _deadlines,
    "partitions": _partitions,
    "purges": _purges,
    "rows": _rows,
    "keys": _of("keys", check_keys),
    "holds": _of("holds", check_holds),
    "erasures": _of("erasures", check_erasures),
    "record": _of("record", check_record),
    **{what: _of(what, check_of(what)) for what in COMPARED},
    "row security": _of("row security", check_catalogue),
    "catalogue": _of("catalogue", check_definitions),
    "history": _of("history", check_history),
    "columns": _of("columns", check_ledger_columns),
    "notes": _of("notes", check_ledger_notes),
    "mirror": _of("mirror", check_ledger_mirror),
    "keyring": _of("keyring", check_keyring),
    "sealed": _of("sealed", check_sealed),
    "errors": _errors,
    "usage": _usage,
}
"""Every check of the database, by its name, in the order in which they run."""
