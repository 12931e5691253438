"""What a statement of retention says: what is kept, that nothing older exists, and what was destroyed in the period.

It answers the questions of auditors: GDPR 5(1)(e) (is anything older than its window still stored), 30(1)(f) (which
windows are there), PCI DSS 3.2.1 (checked at least every three months), and SOC 2 (the population to sample from, each
item with its proof).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from policies.evidence import LedgerKind, moment
from service.ledger import Entry, Ledger, Selection, check, read_record
from service.ledger.checks.check import LedgerCheck
from service.retention.audit.fsck import CHECKS, Finding, check_ledger
from service.retention.audit.report import ClassState, RetentionReport, report
from service.retention.context import RetentionContext
from service.retention.lost_keys import lost_keys
from service.retention.purge_runs import Runs
from service.storage.control.policies import AppliedPolicy

PERIOD_DAYS: Final = 92
PERIOD_DAYS_MAX: Final = 3660
Progress = Callable[[int, int], Awaitable[None]]
_NOT_SAMPLED: Final = (LedgerKind.STARTED, LedgerKind.ATTESTATION_REQUESTED, LedgerKind.ATTESTED)
POPULATION: Final = tuple(kind for kind in LedgerKind if kind not in _NOT_SAMPLED)
_NAMED_MAX: Final = 10
STORAGE: Final = ("clocks", "deadlines", "partitions", "purges", "rows")
"""The checks of fsck that must succeed before a statement can say that nothing is past its deadline."""
_FAILED_PURGES: Final = "SELECT count(*) FROM purge_run WHERE state = 'FAILED' AND planned_at >= $1"
"""How many purges failed since a moment."""
_ACTIVE_HOLDS: Final = """
    SELECT count(*) FROM hold WHERE lifted_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""


async def make_statement(
    context: RetentionContext,
    ledger: Ledger,
    applied: AppliedPolicy,
    *,
    days: int,
    again: bool = False,
    full: bool = False,
    noted: Progress | None = None,
) -> dict[str, Any]:
    """The statement of the last `days` days, as JSON. It is in no ledger yet.

    `again` and `full` are those of `check_ledger`; what was left out is said in the findings that rest on it. `noted`
    is called with how many checks of fsck there are, and how many are done.
    """
    found = await report(context)
    since = found.as_of - timedelta(days=days)
    entries = [entry async for entry in ledger.every(Selection(kinds=POPULATION, recorded_from=since))]
    checked, fsck = await check(ledger), list[Finding]()
    async for one in check_ledger(context, again=again, full=full):
        fsck.append(one)
        if noted is not None:
            await noted(len(CHECKS), len(fsck))
    return {
        "as_of": moment(found.as_of),
        "period": {"from": moment(since), "to": moment(found.as_of), "days": days},
        "policy": _policy(applied),
        "classes": [_class(one) for one in found.classes],
        "checks": [one async for one in _checks(context, found, checked, fsck, days)],
        "active_holds": await context.owner.fetchval(_ACTIVE_HOLDS),
        "keyring_backup_days": context.keyring_backup_days,
        "missing": list(found.missing),
        "detached": list(found.detached),
        "entries": [_entry(entry) for entry in entries],
    }


def unmet(statement: Mapping[str, Any]) -> int:
    """How many of its requirements a statement says are not met."""
    return sum(not one["holds"] for one in statement["checks"])


async def _checks(
    context: RetentionContext, found: RetentionReport, checked: LedgerCheck, checks: Sequence[Finding], days: int
) -> AsyncIterator[dict[str, Any]]:
    unseen = [one.check for one in checks if not one.completed]
    broken = [one.check for one in checks if one.check in STORAGE and not one.ok]
    # A row has values of several classes, so each store of a tier counts once.
    overdue = sum({(one.window.store, one.window.tier): one.state.overdue for one in found.classes}.values())
    kept = overdue == 0 and not unseen and not broken
    yield _finding("GDPR 5(1)(e), storage limitation", kept, _storage(overdue, unseen, broken))
    yield _finding("GDPR 30(1)(f), time limits", bool(found.classes), f"{len(found.classes)} windows are in force")
    last = await _last_purge(context)
    recent = last is not None and last >= found.as_of - timedelta(days=PERIOD_DAYS)
    text = "no purge has run yet" if last is None else f"the last purge ended {last:%Y-%m-%d %H:%M:%S} UTC"
    text = text if kept else f"{text}, and {_storage(overdue, unseen, broken)}"
    yield _finding("PCI DSS v4 requirement 3.2.1, verified at least every three months", recent and kept, text)
    failed: int = await context.owner.fetchval(_FAILED_PURGES, found.as_of - timedelta(days=days))
    stuck = [run for run in await Runs(context.owner).unfinished() if run.failure]
    text = f"{failed} purges failed" + "".join(f"; `{run.id}` is stuck: {run.failure}" for run in stuck)
    yield _finding("purges of the period, none failed", not failed and not stuck, text)
    text = (
        f"outside their store: {', '.join(found.detached)}" if found.detached else "no partition is outside its store"
    )
    yield _finding("partitions, none detached or half detached", not found.detached, text)
    lost = list(await lost_keys(context)) if found.keys_known else []
    named = f": {', '.join(lost[:_NAMED_MAX])}{', ...' if len(lost) > _NAMED_MAX else ''}" if lost else ""
    text = f"{len(lost)} keys are lost, not destroyed by us{named}" if found.keys_known else "not looked at: no keyring"
    yield _finding("keys, here or destroyed on record", found.keys_known and not lost, text)
    problems = "; ".join(checked.problems) or f"all {checked.size} entries and {checked.checkpoints} checkpoints hold"
    yield _finding("ledger, derived again from its entries", not checked.problems, problems)
    for one in checks:
        yield _finding(f"fsck, {one.check}", one.ok, one.detail)


async def _last_purge(context: RetentionContext) -> datetime | None:
    """When the last purge ended, by the ledger: anybody who has the database can write a row."""
    text = (await read_record(context.ledger, kinds=(LedgerKind.PURGE_RESULT, LedgerKind.NOTHING_DUE))).last_purge
    return None if text is None else datetime.fromisoformat(text)


def _storage(overdue: int, unseen: Sequence[str], broken: Sequence[str]) -> str:
    """Whether anything is past its deadline, in words. A check that could not be made is not taken as passed."""
    text = [f"{overdue} rows are past their deadline" if overdue else ""]
    text += [f"fsck fails at {', '.join(broken)}" if broken else ""]
    text += [f"not looked at: {', '.join(unseen)}" if unseen else ""]
    return "; ".join(filter(None, text)) or "no row is past its deadline"


def _finding(title: str, holds: bool, finding: str) -> dict[str, Any]:
    return {"title": title, "holds": holds, "finding": finding}


def _policy(applied: AppliedPolicy) -> dict[str, Any]:
    return {
        "name": applied.policy.name,
        "version": applied.version,
        "digest": applied.digest,
        "applied_at": moment(applied.applied_at),
        "applied_by": applied.applied_by,
    }


def _class(one: ClassState) -> dict[str, Any]:
    return {
        "class": one.window.data_class.value,
        "tier": one.window.tier,
        "store": one.window.store.value,
        "window_days": one.window.days,
        "kept_at_most_days": one.kept_at_most_days,
        "unreadable_days": one.unreadable_days,
        "oldest": one.state.oldest and moment(one.state.oldest),
        "oldest_served": one.state.oldest_served and moment(one.state.oldest_served),
        "overdue": one.state.overdue,
        "hidden": one.state.hidden,
        "held": one.held,
        "keys": {
            "live": one.keys.live,
            "destroyed": one.keys.destroyed,
            "lost": one.keys.lost,
            "held": one.keys.held,
        },
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "kind": entry.kind.value,
        "actor": entry.actor,
        "recorded_at": moment(entry.recorded_at),
        "facts": dict(entry.facts),
    }
