"""Stores the results of comparisons, for `reconciliations` and for webhooks."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

from service.errors import RequestError
from service.log_redaction import guarded
from service.reconcile.comparison import Found, FoundKey
from service.reconcile.run import ReconcileRequest, Reconciliation
from service.runtime.runtime import Runtime
from service.storage.gateways.reconciliations import DifferenceRecord, NewReconciliation, add_reconciliation

_NAME_CHARACTERS: Final = 200
_UNREAD_REASONS_MAX: Final = 100


async def keep(runtime: Runtime, result: Reconciliation, requested_by: str, source: UUID | None = None) -> UUID:
    """Store a comparison; its id. `source`: the pulled source that it is of."""
    request, found = result.request, result.differences.found
    kinds: Counter[str] = Counter()
    for key, one in found.items():
        kinds[key.kind.value] += one.calls
    totals = {
        currency: (f"{result.theirs.get(currency, Decimal(0)):f}", f"{result.ours.get(currency, Decimal(0)):f}")
        for currency in sorted(result.theirs.keys() | result.ours.keys())
    }
    new = NewReconciliation(
        id=uuid4(),
        source_id=source,
        name=guarded(request.name, max_chars=_NAME_CHARACTERS),
        requested_by=requested_by,
        accounts=await _account_ids(runtime, request),
        layout=result.layout,
        first_day=result.days[0],
        last_day=result.days[1],
        time_zone=request.zone.key,
        tolerance=request.tolerance,
        by_ids=result.by_ids,
        rows=result.rows,
        calls=result.calls,
        unread=dict(list(result.unread.items())[:_UNREAD_REASONS_MAX]),
        totals=totals,
        kinds=kinds,
        differing=kinds.total() + result.differences.beyond,
        failure=None,
    )
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        await add_reconciliation(connection, new, list(_differences(found)))
    return new.id


async def keep_failure(
    runtime: Runtime, request: ReconcileRequest, days: tuple[date, date], why: str, requested_by: str, source: UUID
) -> None:
    """Store that a source could not be compared, and why."""
    nothing = NewReconciliation(
        id=uuid4(),
        source_id=source,
        name=guarded(request.name, max_chars=_NAME_CHARACTERS),
        requested_by=requested_by,
        accounts=await _account_ids(runtime, request),
        layout=None,
        first_day=days[0],
        last_day=days[1],
        time_zone=request.zone.key,
        tolerance=request.tolerance,
        by_ids=False,
        rows=0,
        calls=0,
        unread={},
        totals={},
        kinds={},
        differing=0,
        failure=guarded(why),
    )
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        await add_reconciliation(connection, nothing, [])


async def _account_ids(runtime: Runtime, request: ReconcileRequest) -> tuple[int, ...] | None:
    """The accounts of a comparison by number. Raises RequestError for one that there is not."""
    ids: list[int] = []
    for name in request.accounts:
        id_ = await runtime.accounts.find(name)
        if id_ is None:
            raise RequestError(f"there is no account `{guarded(name)}`")
        ids.append(id_)
    return tuple(sorted(ids)) or None


def _differences(found: dict[FoundKey, Found]) -> Iterator[DifferenceRecord]:
    """What differs by day, kind, model and currency."""
    order = sorted(found.items(), key=lambda item: (item[0].day, item[0].kind, item[0].model, item[0].currency))
    for number, (key, one) in enumerate(order):
        facts = (key.kind.value, key.day, key.model, key.currency, one.calls, one.theirs, one.ours)
        yield DifferenceRecord(number, *facts, examples=tuple(one.examples))
