"""Rows by their keys: one call, one error, and the rows that belong to those of a page, all at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from service.query.model.catalog import CALLS, Table
from service.query.model.parameters import Params
from service.query.model.predicate import TimeRange
from service.query.model.scope import Scope
from service.query.records.page import Row
from service.query.records.projection import Projection, Selection, project
from service.query.scan import statements
from service.query.scan.cold import ColdRows, columns_of
from service.query.scan.ranges import FAR_FUTURE, TICK, ScanRange, scan_ranges_of
from service.storage.cold.columns import CallsAt
from service.storage.cold.tier import GivenRows
from service.storage.connection import Connection
from service.storage.control.accounts import Accounts

CORRECTIONS_MAX: Final = 100
_SUMMED: Final = (
    "SELECT account_id, correction_of, sum(amount)::text AS amount FROM ({}) AS corrections "
    "GROUP BY account_id, correction_of"
)
_KEY_COLUMNS: Final = {
    name: name for name in ("account_id", "tier", "started_at", "id", "correction_of", "corrected_at")
}


@dataclass(frozen=True, slots=True)
class RowKey:
    """Where a row lies: account, tier, the table's time, and the call's UUID as text."""

    account_id: int
    tier: int
    moment: datetime
    id: str


async def rows_by_key(
    connection: Connection,
    table: Table,
    keys: Iterable[RowKey],
    selection: Selection,
    scope: Scope,
    accounts: Accounts,
    now: datetime,
    cold: ColdRows | None = None,
) -> Mapping[tuple[int, str], Row]:
    """The rows of `keys` that the scope reaches and whose window has not passed, by (account, id)."""
    found: dict[tuple[int, str], Row] = {}
    for scan_range, inside in _by_scan_range(table, keys, scope, accounts, now):
        rows = await _fetch(connection, table, scan_range, inside, selection, scope, cold)
        found |= {(row["account_id"], row["id"]): row for row in rows}
    return found


async def corrections_by_call(
    connection: Connection,
    keys: Iterable[RowKey],
    selection: Selection,
    scope: Scope,
    accounts: Accounts,
    now: datetime,
    cold: ColdRows | None = None,
) -> Mapping[tuple[int, str], list[Row]]:
    """Corrections of the calls at `keys`, the first CORRECTIONS_MAX of each, by the call's (account, id)."""
    found: dict[tuple[int, str], list[Row]] = {}
    for scan_range, inside in _by_scan_range(CALLS, keys, scope, accounts, now):
        params = Params()
        columns = {**_project(CALLS, selection, scope, params, scan_range).columns, **_KEY_COLUMNS}
        sql = await _of_calls(cold, scan_range, inside, statements.selected(columns), params)
        for row in await connection.fetch(f"{sql} ORDER BY corrected_at, id", *params.values):
            of_one = found.setdefault((row["account_id"], str(row["correction_of"])), [])
            if len(of_one) < CORRECTIONS_MAX:
                of_one.append(row)
    return found


async def corrections_summed(
    connection: Connection,
    keys: Iterable[RowKey],
    scope: Scope,
    accounts: Accounts,
    now: datetime,
    cold: ColdRows | None = None,
) -> Mapping[tuple[int, str], Decimal]:
    """What the corrections of the calls at `keys` add up to, by the call's (account, id)."""
    found: dict[tuple[int, str], Decimal] = {}
    for scan_range, inside in _by_scan_range(CALLS, keys, scope, accounts, now):
        params = Params()
        sql = await _of_calls(cold, scan_range, inside, "account_id, correction_of, amount", params)
        for row in await connection.fetch(_SUMMED.format(sql), *params.values):
            found[row["account_id"], str(row["correction_of"])] = Decimal(row["amount"])
    return found


async def _given(
    cold: ColdRows | None, scan_range: ScanRange, keys: Sequence[RowKey], statement: str
) -> GivenRows | None:
    """The calls of `keys` that are in files, and their corrections, with the columns that a statement reads."""
    if cold is None:
        return None
    calls = CallsAt({key.moment for key in keys}, {key.id for key in keys})
    return await cold.calls(scan_range, {key.account_id for key in keys}, calls, columns_of(statement))


def _by_scan_range(
    table: Table, keys: Iterable[RowKey], scope: Scope, accounts: Accounts, now: datetime
) -> Iterator[tuple[ScanRange, list[RowKey]]]:
    """The keys that the scope reaches and whose window has not passed, by the scan range that has them."""
    in_scope = {key for key in keys if scope.accounts is None or key.account_id in scope.accounts}
    for scan_range in scan_ranges_of(
        scope, accounts, tuple(sorted({key.account_id for key in in_scope})), table.store, now
    ):
        assert scan_range.accounts is not None
        inside = [key for key in in_scope if key.tier == scan_range.tier and key.account_id in scan_range.accounts]
        if inside:
            yield scan_range, inside


async def _of_calls(
    cold: ColdRows | None, scan_range: ScanRange, keys: Sequence[RowKey], select: str, params: Params
) -> str:
    """The statement of the corrections of the calls at `keys`."""
    moments, ids = tuple(sorted({key.moment for key in keys})), tuple(sorted({key.id for key in keys}))
    condition = (
        f"started_at = ANY ({params.bind(moments, 'timestamptz[]')}) "
        f"AND correction_of = ANY ({params.bind(ids, 'uuid[]')})"
    )
    given = await _given(cold, scan_range, keys, f"{select} {condition} corrected_at")
    time_range = TimeRange(moments[0], moments[-1] + TICK)
    return statements.union(CALLS, [scan_range], time_range, select, [lambda _: condition], params, given)


def shown(table: Table, selection: Selection, scope: Scope) -> frozenset[str]:
    """The fields whose values this role gets."""
    return _project(table, selection, scope, Params(), ScanRange(0, None, FAR_FUTURE, FAR_FUTURE, scope.policy)).shown


def _project(table: Table, selection: Selection, scope: Scope, params: Params, scan_range: ScanRange) -> Projection:
    return project(table, selection, selection, scope, params, scan_range)


async def _fetch(
    connection: Connection,
    table: Table,
    scan_range: ScanRange,
    keys: Sequence[RowKey],
    selection: Selection,
    scope: Scope,
    cold: ColdRows | None,
) -> Sequence[Row]:
    params = Params()
    moments = tuple(sorted({key.moment for key in keys}))
    time_range = TimeRange(moments[0], moments[-1] + TICK)
    condition = (
        f"{table.time} = ANY ({params.bind(moments, 'timestamptz[]')}) "
        f"AND id = ANY ({params.bind(tuple(sorted({key.id for key in keys})), 'uuid[]')})"
    )

    def columns(_: ScanRange) -> str:
        """The columns of one row by key: the selected ones, and what identifies it."""
        selected = _project(table, selection, scope, params, scan_range).columns
        return statements.selected({**selected, "account_id": "account_id", table.time: table.time, "id": "id"})

    given = await _given(cold, scan_range, keys, columns(scan_range))
    order = f"{table.time}, id"
    sql = statements.page(
        table, [scan_range], time_range, columns, [lambda _: condition], order, len(keys), params, given
    )
    return await connection.fetch(sql, *params.values)
