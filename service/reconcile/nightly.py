"""Each night what the pulled sources have is compared with what is recorded: once, by one process of several.

A night compares the days since the last one that was compared, a week at most, so that a source which was away is made
up for.
"""

import asyncio
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from policies import Policy, Role
from policies.policy.views import view_table
from service.errors import CalledgerError, OperatorError
from service.imports.addresses import open_pullable
from service.imports.formats import FORMATS
from service.imports.pull import options_of
from service.imports.sealing import open_address
from service.ingest.errors import DATABASE_FAULTS
from service.logs import get_logger
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.scan.ranges import DatabaseClock
from service.reconcile.calls import CallRows
from service.reconcile.recorded_calls import first_served
from service.reconcile.results import keep, keep_failure
from service.reconcile.run import ReconcileRequest, Reconciliation, reconcile
from service.runtime.runtime import Runtime
from service.settings import NightlyTime
from service.storage.connection import advisory_lock_of_long_work
from service.storage.gateways.pull_sources import PullSource, all_sources
from service.storage.gateways.reconciliations import last_days

log = get_logger()

ACTOR: Final = "nightly"
_LOCK: Final = 0x63616C6C_0037
_LOOK_S: Final = 60.0
_DAYS_MAX: Final = 7
_DAY: Final = timedelta(days=1)
_LATE: Final = timedelta(minutes=5)
"""How long after its end a day's last rows may still come."""
_AWAITED: Final = timedelta(hours=20)
"""How long after the end of a day a source may still be read to it, before it is said not to have been."""
_ANSWER_S: Final = 5.0


async def reconcile_for_ever(runtime: Runtime, at: NightlyTime) -> None:
    """Compare what is due, look again each minute, until cancelled. No error of a source ends it."""
    while True:
        try:
            await reconcile_due(runtime, at, await DatabaseClock(runtime.database).now())
        except (CalledgerError, *DATABASE_FAULTS) as error:
            log.warning("sources are not compared for now", error=type(error).__name__)
        except Exception:  # whatever it is, the next night must be compared
            log.exception("sources are not compared for now")
        await asyncio.sleep(_LOOK_S * (0.8 + 0.4 * random.random()))  # noqa: S311 - spread


async def reconcile_due(runtime: Runtime, at: NightlyTime, now: datetime) -> int:
    """Compare each source that was not yet compared for the day before, if it is time to; how many there were."""
    if now.astimezone(at.zone).time() < at.time or not await _due(runtime, at, now):
        return 0
    async with advisory_lock_of_long_work(runtime.database.url, _LOCK) as is_ours:
        # Looked for again: another process may have compared them since.
        due = await _due(runtime, at, now) if is_ours else []
        for source, days in due:
            await _compare(runtime, source, days, at)
    return len(due)


async def _due(runtime: Runtime, at: NightlyTime, now: datetime) -> list[tuple[PullSource, tuple[date, date]]]:
    """The sources that are to be compared now, and of which days; none that may still be read to the end of these."""
    owner, due = runtime.database.owner, list[tuple[PullSource, tuple[date, date]]]()
    yesterday = now.astimezone(at.zone).date() - _DAY
    end = _midnight(yesterday + _DAY, at.zone)
    oldest = max(yesterday - (_DAYS_MAX - 1) * _DAY, _first_day(runtime.applied.policy, end, at.zone))
    for source in await all_sources(owner):
        compared, tried = await last_days(owner, source.id, ACTOR)
        if tried is not None and tried >= yesterday:
            continue
        if not _is_read(source, end) and now < end + _AWAITED:
            continue
        begin = max(source.created_at.astimezone(at.zone).date(), oldest, (compared or date.min) + _DAY)
        due.append((source, (min(begin, yesterday), yesterday)))
    return due


def _first_day(policy: Policy, end: datetime, zone: ZoneInfo) -> date:
    """The first day whose calls are there for the whole day that begins at `end`, and its comparison with them."""
    first = first_served(policy, end + _DAY - timedelta(seconds=1))
    return max(first.astimezone(where).date() for where in (zone, UTC)) + _DAY


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _is_read(source: PullSource, end: datetime) -> bool:
    """Whether a source was read to its end since `end`, and since its last rows may have come."""
    return source.read_at is not None and source.read_at >= end + _LATE


async def _compare(runtime: Runtime, source: PullSource, days: tuple[date, date], at: NightlyTime) -> None:
    """Compare a source and keep what came of it; or why nothing did, and the next night makes up for it. The error of
    our own database, when it is away, is raised.
    """
    accounts = () if source.account_id is None else (await runtime.accounts.name(source.account_id),)
    tolerance: Decimal = runtime.settings.reconcile_tolerance
    request = ReconcileRequest(source.name, at.zone, tolerance, days=days, accounts=accounts)
    try:
        result = await _compared(runtime, source, request, days)
        await keep(runtime, result, ACTOR, source.id)
    except CalledgerError as error:
        failure = str(error)
        log.warning("a source was not compared", source=source.name, reason=failure)
    except Exception as error:  # whatever it is, the other sources must be compared, and this one not each minute anew
        if isinstance(error, DATABASE_FAULTS):
            await runtime.database.answers(within_s=_ANSWER_S)  # where it was ours that failed, this fails too
        failure = f"something went wrong here ({type(error).__name__}): the service's log says more"
        log.exception("a source was not compared", source=source.name)
    else:
        differing = sum(one.calls for one in result.differences.found.values())
        log.info("a source was compared", source=source.name, rows=result.rows, calls=result.calls, differing=differing)
        return
    await keep_failure(runtime, request, days, failure, ACTOR, source.id)


async def _compared(
    runtime: Runtime, source: PullSource, request: ReconcileRequest, days: tuple[date, date]
) -> Reconciliation:
    first, end = (_midnight(day, request.zone) for day in (days[0], days[1] + _DAY))
    if not _is_read(source, end):
        raise OperatorError("the source was not read to its end since then: `calledger sources list` says why")
    form = FORMATS.get(source.format)
    if form is None:
        raise OperatorError(f"`{source.format}` is not known to this version: update it, or remove the source")
    where = await open_address(runtime.keyring, source.id, source.sealed)
    opened = open_pullable(form, where.address, where.secret, where.user, since=first)
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    policy = runtime.applied.policy
    scope = Scope(ACTOR, Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
    read = CallRows(source.format, form.source, form.reader(options_of(source)), request.zone)
    return await reconcile(opened, reader, scope, request, read=read)
