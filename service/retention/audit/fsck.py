"""The checks of `calledger fsck`: nothing is overdue, every row is where it belongs, and sealed values have
their keys.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from policies.retention import GRACE, Earlier, Partition, cutoff, deadline, due_at
from service.errors import CalledgerError
from service.query.usage.consistency import UsageDifference
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
from service.retention.audit.incremental.feed import check_changes
from service.retention.audit.incremental.run import FsckRun
from service.retention.audit.incremental.usage import check_days
from service.retention.audit.record_check import COMPARED, check_of
from service.retention.cold.check import check_cold
from service.retention.context import EarlierPolicyError, RetentionContext
from service.retention.errors import PurgeClockError
from service.retention.purge.detached import descriptions, detached_partitions
from service.retention.purge_runs import Runs
from service.retention.rollups.tag_check import TagDifference
from service.retention.rollups.totals_check import DerivedDifference
from service.storage.cold.catalogue import FrozenTimes

_NAMED_MAX: Final = 5

# The tier of a row is a function of account and time; a row with another tier is in the wrong partition.
_WRONG_TIER: Final = """
    WITH moved AS MATERIALIZED (
        SELECT account_id FROM account_tier WHERE from_at <> 'epoch'
    ), span AS (
        SELECT account_id, from_at, 'infinity'::timestamptz AS until_at FROM account_tier
        WHERE tier = $1 AND account_id NOT IN (SELECT account_id FROM moved)
        UNION ALL
        SELECT account_id, from_at, until_at FROM (
            SELECT account_id, tier, from_at,
                   lead(from_at, 1, 'infinity') OVER (PARTITION BY account_id ORDER BY from_at) AS until_at
            FROM account_tier WHERE account_id IN (SELECT account_id FROM moved)
        ) AS each WHERE tier = $1
    )
    SELECT count(*) FROM {store} AS kept
    LEFT JOIN span
        ON span.account_id = kept.account_id AND kept.{time} >= span.from_at AND kept.{time} < span.until_at
    WHERE kept.tier = $1 AND kept.{time} >= $2 AND kept.{time} < $3 AND span.account_id IS NULL
"""
"""How many rows of a partition lie in another tier than their account had."""
_WRONG_TIER_BY_STORE: Final = {
    Store.CALL: _WRONG_TIER.format(store="call", time="started_at"),
    Store.CALL_ERROR: _WRONG_TIER.format(store="call_error", time="started_at"),
    Store.USAGE_QUARTER: _WRONG_TIER.format(store="usage_quarter", time="bucket_at"),
    Store.USAGE_DAY: _WRONG_TIER.format(store="usage_day", time="bucket_at"),
}
_WITH_ERROR: Final = """
    SELECT EXISTS (SELECT 1 FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3 AND error_at >= $4)
"""
"""Whether a partition has calls that failed since a moment."""
_WITHOUT_ERROR: Final = """
    SELECT count(*) FROM call
    WHERE tier = $1 AND started_at >= $2 AND started_at < $3 AND error_at >= $4 AND NOT EXISTS (
        SELECT 1 FROM call_error AS led
        WHERE led.account_id = call.account_id AND led.tier = call.tier
            AND led.occurred_at = call.error_at AND led.id = call.id
    )
"""
"""How many failed calls lack the error record that they name."""
_FORGOTTEN: Final = "attach what is within its window to its store again, drop what is past it"
_REBUILD: Final = "if the calls are right, `calledger rebuild-sums` makes the sums anew from them"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `detail` says how much was checked, or what is wrong and what to do.

    Unless `completed`, the check could not be made, and `detail` says why. Such a check is never `ok`.
    """

    check: str
    ok: bool
    detail: str
    completed: bool = True


Check = Callable[[FsckRun], Awaitable[Finding]]


async def check_ledger(
    context: RetentionContext, *, deep: bool = False, again: bool = False, full: bool = False
) -> AsyncIterator[Finding]:
    """Run every check in turn, and yield each finding when it is done. The service may run meanwhile.

    `deep`: everything that is sealed is opened, and not a sample. `again`: partitions and days in which an earlier run
    found nothing wrong, and nothing has changed since, are left out, and this run's results are stored (unless `full`:
    then nothing is left out). Nothing else is changed.

    A check that cannot be made (the keyring is unreachable, a table is locked for long) says so, and the others go on.
    """
    run = await FsckRun.open(context, again=again, full=full)
    deeper = {"sealed": _as_check("sealed", partial(check_sealed, deep=True))} if deep else {}
    for name, check in {**CHECKS, **deeper}.items():
        yield await _run_check(name, check, run)


async def _run_check(name: str, check: Check, run: FsckRun) -> Finding:
    try:
        return await check(run)
    except CalledgerError as error:
        return Finding(name, False, f"not looked at: {error}", completed=False)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return Finding(name, False, f"not looked at: the database said {type(error).__name__}", completed=False)


def _as_check(name: str, check: Callable[[RetentionContext, datetime], Awaitable[Result]]) -> Check:
    """The check of a function that returns what is wrong, and what it looked at."""

    return _in_parts(name, lambda run: check(run.context, run.now))


def _in_parts(name: str, check: Callable[[FsckRun], Awaitable[Result]]) -> Check:
    """The same of a function that checks part by part."""

    async def checked(run: FsckRun) -> Finding:
        """Run the check and turn its result into a finding."""
        wrong, looked_at = await check(run)
        return Finding(name, not wrong, _first_names(wrong) if wrong else looked_at)

    return checked


async def _clocks(run: FsckRun) -> Finding:
    try:
        await run.context.now()
    except PurgeClockError as error:
        return Finding("clocks", False, str(error))
    return Finding("clocks", True, "the database's agrees with this machine's")


async def _earlier(context: RetentionContext, now: datetime) -> tuple[Earlier, ...]:
    try:
        return await context.earlier(now)
    except EarlierPolicyError:
        return ()


async def _deadlines(run: FsckRun) -> Finding:
    context, now = run.context, run.now
    catalogue, policy, earlier = await context.partitions.catalogue(), context.policy(), await _earlier(context, now)
    outside = await detached_partitions(context, catalogue)
    parts = [*catalogue.partitions, *(one.partition for one in outside if not one.pending)]
    overdue = [part.name for part in parts if deadline(policy, part, earlier) <= now]
    if overdue:
        return Finding("deadlines", False, f"overdue: {_first_names(overdue)}; run `calledger purge`")
    waiting = sum(due_at(policy, part, earlier) <= now for part in parts)
    return Finding("deadlines", True, f"{len(parts)} partitions, {waiting} of them due and none overdue")


async def _partitions(run: FsckRun) -> Finding:
    """There are only our own partitions, of tiers that the policy has, and none is detached except by a purge."""
    context = run.context
    partitions, policy = context.partitions, context.policy()
    catalogue = await partitions.catalogue(sized=False)
    parts = catalogue.partitions
    if foreign := await partitions.foreign():
        return Finding("partitions", False, f"not made by calledger, and never purged: {_first_names(foreign)}")
    known = {tier.number for tier in policy.tiers.values()}
    unknown = [part.name for part in parts if part.tier not in known]
    if unknown:
        return Finding("partitions", False, f"of a tier that the policy does not name: {_first_names(unknown)}")
    outside = await detached_partitions(context, catalogue)
    forgotten = [*descriptions(one for one in outside if not one.planned), *await partitions.left_behind()]
    if forgotten:
        return Finding("partitions", False, f"in no purge's plan: {_first_names(forgotten)}; {_FORGOTTEN}")
    return Finding("partitions", True, f"{len(parts)}, each of one tier and time")


async def _purges(run: FsckRun) -> Finding:
    unfinished = await Runs(run.context.owner).unfinished()
    stuck = [purge for purge in unfinished if purge.planned_at < run.now - GRACE]
    if stuck:
        reason = stuck[0].failure or "no service has gone on with it"
        return Finding("purges", False, f"`{stuck[0].id}` is unfinished after a day: {reason}")
    return Finding("purges", True, "none is overdue")


async def _rows(run: FsckRun) -> Result:
    """Each row is in the tier of its account and time."""
    states, wrong = await run.states(), Counter[Store]()

    async def look(part: Partition) -> bool:
        """Whether all rows of the partition are."""
        found = await run.context.owner.fetchval(_WRONG_TIER_BY_STORE[part.store], part.tier, part.start, part.end)
        wrong[part.store] += found
        return not found

    parts = await run.partitions(*Store)
    looked_at = await run.each("rows", parts, look, lambda part: states.tiers_until(part.end))
    counts = ", ".join(f"{count} of {store}" for store, count in wrong.items() if count)
    found = [f"in another tier than their account's at that time: {counts}"] if counts else []
    return found, f"each is in the tier of its account and time; {looked_at}"


async def _errors(run: FsckRun) -> Result:
    """Each call that failed within the window leads to its record."""
    owner, policy, lost = run.context.owner, run.context.policy(), 0

    async def look(part: Partition) -> bool:
        """Whether the partition has none that failed within the window."""
        nonlocal lost
        values = part.tier, part.start, part.end, cutoff(policy, part.tier, Store.CALL_ERROR, run.now)
        if not await owner.fetchval(_WITH_ERROR, *values):
            return True  # nor will it have any while it is as it is, because the window moves on
        lost += await owner.fetchval(_WITHOUT_ERROR, *values)
        return False

    looked_at = await run.each("errors", await run.partitions(Store.CALL), look, lambda part: _window(policy, part))
    found = [f"{lost} calls lead to an error record that is not there"] if lost else []
    return found, f"each call that failed within the window leads to its record; {looked_at}"


def _window(policy: Policy, part: Partition) -> str:
    """The window of errors, which a policy may make longer."""
    tier = policy.tier_number(part.tier)
    return "" if tier is None else str(tier.store_days[Store.CALL_ERROR])


async def _usage(run: FsckRun) -> Finding:
    checked = await check_days(run)
    wrong = [_difference(found) for found in checked.wrong if isinstance(found, UsageDifference)]
    if wrong:
        return Finding("usage", False, f"{len(wrong)} days differ from their calls: {_first_names(wrong)}; {_REBUILD}")
    wrong = [_derived_difference(found) for found in checked.wrong if isinstance(found, DerivedDifference)]
    if wrong:
        return Finding(
            "usage", False, f"{len(wrong)} days of sums differ from their rollup: {_first_names(wrong)}; {_REBUILD}"
        )
    by_tag = [_tag_difference(found) for found in checked.wrong if isinstance(found, TagDifference)]
    if by_tag:
        return Finding("usage", False, f"{len(by_tag)} days of sums by tag differ: {_first_names(by_tag)}; {_REBUILD}")
    short = {found for found in checked.wrong if isinstance(found, int)}
    if short:
        named = _first_names([f"account {account}" for account in sorted(short)])
        return Finding("usage", False, f"corrections by their own time differ from those by their calls' time: {named}")
    frozen = len((await FrozenTimes.read(run.context.owner)).times)
    beside = f"; of the days of {frozen} partitions, whose calls are in files, it was not looked at" if frozen else ""
    said = f"rollups and deltas are the sums of the calls{beside}; {checked.looked_at}"
    return Finding("usage", True, said)


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
    "rows": _in_parts("rows", _rows),
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
    "errors": _in_parts("errors", _errors),
    "usage": _usage,
    "feed": _in_parts("feed", check_changes),
    "cold tier": _as_check("cold tier", check_cold),
    "ids": _in_parts("ids", check_ids),
    "held copies": _as_check("held copies", check_copies),
    "bills": _in_parts("bills", check_bills),
    "not compared": _as_check("not compared", say_what_was_not_compared),
}
"""Every check of the database, by its name, in the order in which they run."""
