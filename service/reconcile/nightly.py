"""Each night what the pulled sources have is compared with what is recorded: once, by one process of several.

A night compares the days since the last one that was compared, a week at most, so that a source which was away is made
up for.
"""

import asyncio
import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from policies import Role
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
from service.reconcile.kept import keep, keep_failure
from service.reconcile.run import ReconcileRequest, Reconciliation, reconcile
from service.runtime.runtime import Runtime
from service.settings import NightlyTime
from service.storage.connection import advisory_lock_if_free
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
    local = now.astimezone(at.zone)
    if local.time() < at.time:
        return 0
    yesterday, done = local.date() - _DAY, 0
    async with advisory_lock_if_free(runtime.database.owner, _LOCK) as lock:
        if lock is None:
            return 0
        for source in await all_sources(runtime.database.owner):
            compared, tried = await last_days(runtime.database.owner, source.id, ACTOR)
            if tried is not None and tried >= yesterday:
                continue
            begin = max(source.created_at.astimezone(at.zone).date(), yesterday - (_DAYS_MAX - 1) * _DAY)
            days = (min(max(begin, compared + _DAY) if compared else begin, yesterday), yesterday)
            await _compare(runtime, source, days, at)
            done += 1
    return done


async def _compare(runtime: Runtime, source: PullSource, days: tuple[date, date], at: NightlyTime) -> None:
    accounts = () if source.account_id is None else (await runtime.accounts.name(source.account_id),)
    tolerance: Decimal = runtime.settings.reconcile_tolerance
    request = ReconcileRequest(source.name, at.zone, tolerance, days=days, accounts=accounts)
    try:
        result = await _compared(runtime, source, request, days)
    except CalledgerError as error:
        log.warning("a source was not compared", source=source.name, reason=str(error))
        await keep_failure(runtime, request, days, str(error), ACTOR, source.id)
        return
    await keep(runtime, result, ACTOR, source.id)
    differing = sum(one.calls for one in result.differences.found.values())
    log.info("a source was compared", source=source.name, rows=result.rows, calls=result.calls, differing=differing)


async def _compared(
    runtime: Runtime, source: PullSource, request: ReconcileRequest, days: tuple[date, date]
) -> Reconciliation:
    first, end = (datetime.combine(day, time(), request.zone) for day in (days[0], days[1] + _DAY))
    if source.read_at is None or source.read_at < end + _LATE:
        raise OperatorError("the source was not read to its end since then: `calledger sources list` says why")
    form = FORMATS.get(source.format)
    if form is None:
        raise OperatorError(f"`{source.format}` is not known to this version")
    where = await open_address(runtime.keyring, source.id, source.sealed)
    opened = open_pullable(form, where.address, where.secret, where.user, since=first)
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    policy = runtime.applied.policy
    scope = Scope(ACTOR, Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
    read = CallRows(source.format, form.reader(options_of(source)), request.zone)
    return await reconcile(opened, reader, scope, request, read=read)
