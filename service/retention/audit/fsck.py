"""The checks of `calledger fsck`: nothing is overdue, every row is where it belongs, and sealed values have
their keys.
"""

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
from service.query.records.feed_check import check_feed
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
from service.retention.audit.fsck_rows import check_bills, check_copies, check_ids, say_what_was_not_compared
from service.retention.audit.fsck_sealed import check_keyring, check_sealed
from service.retention.audit.record_check import COMPARED, check_of
from service.retention.cold.check import check_cold
from service.retention.context import EarlierPolicyError, RetentionContext
from service.retention.errors import PurgeClockError
from service.retention.purge.detached import descriptions, detached_partitions
from service.retention.purge_runs import Runs
from service.retention.rollups.tag_check import TagDifference, check_tags, check_tags_of_all
from service.retention.rollups.totals_check import DerivedDifference, check_derived_sums
from service.storage.cold.catalogue import FrozenTimes

_NAMED_MAX: Final = 5

# The tier of a row is a function of account and time; a row with another tier is in the wrong partition.
_WRONG_TIER: Final = """
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
"""How many rows of a store lie in another tier than their account had."""
_WRONG_TIER_BY_STORE: Final = {
    Store.CALL: _WRONG_TIER.format(store="call", time="started_at"),
    Store.CALL_ERROR: _WRONG_TIER.format(store="call_error", time="started_at"),
    Store.USAGE_QUARTER: _WRONG_TIER.format(store="usage_quarter", time="bucket_at"),
    Store.USAGE_DAY: _WRONG_TIER.format(store="usage_day", time="bucket_at"),
}
_WITHOUT_ERROR: Final = """
    SELECT count(*) FROM call
    WHERE tier = $1 AND error_at >= $2 AND NOT EXISTS (
        SELECT 1 FROM call_error AS led
        WHERE led.account_id = call.account_id AND led.tier = call.tier
            AND led.occurred_at = call.error_at AND led.id = call.id
    )
"""
"""How many failed calls lack the error record that they name."""
_FORGOTTEN: Final = "attach what is within its window to its store again, drop what is past it"
_REBUILD: Final = "if the calls are right, `calledger rebuild-sums` makes the sums anew from them"
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
"""The tiers that accounts ever had."""
_HALF_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NULL"
"""Accounts whose erasure has begun and not ended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `detail` says how much was checked, or what is wrong and what to do.

    Unless `completed`, the check could not be made, and `detail` says why. Such a check is never `ok`.
    """

    check: str
    ok: bool
    detail: str
    completed: bool = True


Check = Callable[[RetentionContext, datetime], Awaitable[Finding]]


async def check_ledger(context: RetentionContext, *, deep: bool = False) -> AsyncIterator[Finding]:
    """Run every check in turn, and yield each finding when it is done. Changes nothing; the service may run meanwhile.

    `deep`: everything that is sealed is opened, and not a sample.

    A check that cannot be made (the keyring is unreachable, a table is locked for long) says so, and the others go on.
    """
    now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
    deeper = {"sealed": _as_check("sealed", partial(check_sealed, deep=True))} if deep else {}
    for name, check in {**CHECKS, **deeper}.items():
        yield await _run_check(name, check, context, now)


async def _run_check(name: str, check: Check, context: RetentionContext, now: datetime) -> Finding:
    try:
        return await check(context, now)
    except CalledgerError as error:
        return Finding(name, False, f"not looked at: {error}", completed=False)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return Finding(name, False, f"not looked at: the database said {type(error).__name__}", completed=False)


def _as_check(name: str, check: Callable[[RetentionContext, datetime], Awaitable[Result]]) -> Check:
    """The check of a function that returns what is wrong, and what it looked at."""

    async def run(context: RetentionContext, now: datetime) -> Finding:
        """Run the check and turn its result into a finding."""
        wrong, looked_at = await check(context, now)
        return Finding(name, not wrong, _first_names(wrong) if wrong else looked_at)

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
    parts = [*catalogue.partitions, *(one.partition for one in outside if not one.pending)]
    overdue = [part.name for part in parts if deadline(policy, part, earlier) <= now]
    if overdue:
        return Finding("deadlines", False, f"overdue: {_first_names(overdue)}; run `calledger purge`")
    waiting = sum(due_at(policy, part, earlier) <= now for part in parts)
    return Finding("deadlines", True, f"{len(parts)} partitions, {waiting} of them due and none overdue")


async def _partitions(context: RetentionContext, _: datetime) -> Finding:
    """There are only our own partitions, of tiers that the policy has, and none is detached except by a purge."""
    partitions, policy = context.partitions, context.policy()
    catalogue = await partitions.catalogue(sized=False)
    parts = catalogue.partitions
    foreign = [name for store in Store for name in await partitions.foreign(store)]
    if foreign:
        return Finding("partitions", False, f"not made by calledger, and never purged: {_first_names(foreign)}")
    known = {tier.number for tier in policy.tiers.values()}
    unknown = [part.name for part in parts if part.tier not in known]
    if unknown:
        return Finding("partitions", False, f"of a tier that the policy does not name: {_first_names(unknown)}")
    outside = await detached_partitions(context, catalogue)
    forgotten = descriptions(one for one in outside if not one.planned)
    if forgotten:
        return Finding("partitions", False, f"in no purge's plan: {_first_names(forgotten)}; {_FORGOTTEN}")
    return Finding("partitions", True, f"{len(parts)}, each of one tier and time")


async def _purges(context: RetentionContext, now: datetime) -> Finding:
    stuck = [run for run in await Runs(context.owner).unfinished() if run.planned_at < now - GRACE]
    if stuck:
        reason = stuck[0].failure or "no service has gone on with it"
        return Finding("purges", False, f"`{stuck[0].id}` is unfinished after a day: {reason}")
    return Finding("purges", True, "none is overdue")


async def _rows(context: RetentionContext, _: datetime) -> Finding:
    wrong = {store: await context.owner.fetchval(statement) for store, statement in _WRONG_TIER_BY_STORE.items()}
    if any(wrong.values()):
        counts = ", ".join(f"{count} of {store}" for store, count in wrong.items() if count)
        return Finding("rows", False, f"in another tier than their account's at that time: {counts}")
    return Finding("rows", True, "each is in the tier of its account and time")


async def _errors(context: RetentionContext, now: datetime) -> Finding:
    owner, policy, lost = context.owner, context.policy(), 0
    for (tier,) in await owner.fetch(_TIERS):
        lost += await owner.fetchval(_WITHOUT_ERROR, tier, cutoff(policy, tier, Store.CALL_ERROR, now))
    if lost:
        return Finding("errors", False, f"{lost} calls lead to an error record that is not there")
    return Finding("errors", True, "each call that failed within the window leads to its record")


async def _usage(context: RetentionContext, _: datetime) -> Finding:
    owner, policy = context.owner, context.policy()
    # An account whose erasure waits for a hold still has its held calls, but their sums are deleted.
    half_erased = {account_id for (account_id,) in await owner.fetch(_HALF_ERASED)}
    wrong = [_difference(found) async for found in check_usage(owner, policy) if found.account_id not in half_erased]
    if wrong:
        return Finding("usage", False, f"{len(wrong)} days differ from their calls: {_first_names(wrong)}; {_REBUILD}")
    wrong = [_derived_difference(found) async for found in check_derived_sums(owner, policy)]
    if wrong:
        return Finding(
            "usage", False, f"{len(wrong)} days of sums differ from their rollup: {_first_names(wrong)}; {_REBUILD}"
        )
    by_tag = [_tag_difference(found) async for found in check_tags(owner, policy)]
    by_tag += [_tag_difference(found) async for found in check_tags_of_all(owner, policy)]
    if by_tag:
        return Finding("usage", False, f"{len(by_tag)} days of sums by tag differ: {_first_names(by_tag)}; {_REBUILD}")
    short = [account async for account in check_corrections(owner, policy) if account not in half_erased]
    if short:
        named = _first_names([f"account {account}" for account in sorted(set(short))])
        return Finding("usage", False, f"corrections by their own time differ from those by their calls' time: {named}")
    frozen = len((await FrozenTimes.read(owner)).times)
    beside = f"; of the days of {frozen} partitions, whose calls are in files, it was not looked at" if frozen else ""
    return Finding("usage", True, f"rollups and deltas are the sums of the calls{beside}")


async def _feed(context: RetentionContext, _: datetime) -> Result:
    catalogue = await context.partitions.catalogue(sized=False)
    calls = [part for part in catalogue.partitions if part.store is Store.CALL]
    return await check_feed(context.owner, context.policy(), calls, await FrozenTimes.read(context.owner))


def _difference(found: UsageDifference) -> str:
    return (
        f"{found.store} of account {found.account_id} on {found.day:%Y-%m-%d} "
        f"(calls {found.calls_summed or 0} instead of {found.calls_stored or 0})"
    )


def _derived_difference(found: DerivedDifference) -> str:
    return f"{found.table} of tier {found.tier} on {found.day:%Y-%m-%d} ({found.keys} keys, against {found.store})"


def _tag_difference(found: TagDifference) -> str:
    return f"{found.table} of tier {found.tier} on {found.day:%Y-%m-%d} ({found.keys} sums)"


def _first_names(names: Sequence[str]) -> str:
    listed = ", ".join(islice(names, _NAMED_MAX))
    return listed if len(names) <= _NAMED_MAX else f"{listed} and {len(names) - _NAMED_MAX} more"


CHECKS: Final[Mapping[str, Check]] = {
    "clocks": _clocks,
    "deadlines": _deadlines,
    "partitions": _partitions,
    "purges": _purges,
    "rows": _rows,
    "keys": _as_check("keys", check_keys),
    "holds": _as_check("holds", check_holds),
    "erasures": _as_check("erasures", check_erasures),
    "record": _as_check("record", check_record),
    **{what: _as_check(what, check_of(what)) for what in COMPARED},
    "row security": _as_check("row security", check_catalogue),
    "catalogue": _as_check("catalogue", check_definitions),
    "history": _as_check("history", check_history),
    "columns": _as_check("columns", check_ledger_columns),
    "notes": _as_check("notes", check_ledger_notes),
    "mirror": _as_check("mirror", check_ledger_mirror),
    "keyring": _as_check("keyring", check_keyring),
    "sealed": _as_check("sealed", check_sealed),
    "errors": _errors,
    "usage": _usage,
    "feed": _as_check("feed", _feed),
    "cold tier": _as_check("cold tier", check_cold),
    "ids": _as_check("ids", check_ids),
    "held copies": _as_check("held copies", check_copies),
    "bills": _as_check("bills", check_bills),
    "not compared": _as_check("not compared", say_what_was_not_compared),
}
"""Every check of the database, by its name, in the order in which they run."""
