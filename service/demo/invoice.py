"""The demo's invoice: what a provider bills `acme` for a day, and how that differs from what is recorded."""

from collections.abc import AsyncGenerator, Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from policies import Report, Role
from policies.policy.views import view_table
from service.demo.calls import sample_calls
from service.imports.sources.pages import RowPage
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.reconcile.results import keep
from service.reconcile.run import ReconcileRequest, reconcile
from service.runtime.runtime import Runtime
from service.storage.gateways.reconciliations import count_reconciliations

ACTOR: Final = "demo"
_ACCOUNT: Final = "acme"
_DAYS_AGO: Final = 2
_EVERY: Final = 40
"""Of so many calls one is not billed, one is billed twice, and one at a higher price."""


class _Invoice:
    """Rows of a bill, as a file of them would have them."""

    def __init__(self, rows: list[bytes]) -> None:
        self.identity = ACTOR
        self._rows = rows

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """All rows at once, and none behind them."""
        if after is None:
            yield RowPage(self._rows, "all")


async def compare_invoice(runtime: Runtime, now: datetime) -> None:
    """Compare the bill of a day with what is recorded of it, and keep what differs, unless that was done before."""
    if await count_reconciliations(runtime.database.owner):
        return
    day = (now - timedelta(days=_DAYS_AGO)).date()
    billed = [call for call in sample_calls(now) if call.account == _ACCOUNT and call.started_at.date() == day]
    request = ReconcileRequest(
        name=f"{_ACCOUNT}-{day:%Y-%m-%d}.csv",
        zone=ZoneInfo("UTC"),
        tolerance=runtime.settings.reconcile_tolerance,
        days=(day, day),
        accounts=(_ACCOUNT,),
    )
    policy = runtime.applied.policy
    scope = Scope(ACTOR, Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    rows = [orjson.dumps(row) for row in _rows(billed)]
    await keep(runtime, await reconcile(_Invoice(rows), reader, scope, request), ACTOR)


def _rows(calls: list[Report]) -> Iterator[dict[str, Any]]:
    """What is billed: most calls as they are recorded, and two that nobody has reported."""
    priced = [call for call in calls if call.amount]
    for number, call in enumerate(priced):
        assert call.amount is not None
        kind = number % _EVERY
        if kind == 0:
            continue
        row = _row(call, call.source_id, f"{call.amount * 2 if kind == 1 else call.amount:f}")
        yield row
        if kind == 2:
            yield row
    for number, call in enumerate(priced[:2]):
        yield _row(call, f"{call.source_id}-late-{number}", f"{call.amount:f}")


def _row(call: Report, id_: str, amount: str) -> dict[str, Any]:
    moment = call.started_at.isoformat(timespec="milliseconds")
    return {"id": id_, "started_at": moment, "model": call.model, "amount": amount, "currency": call.currency}
