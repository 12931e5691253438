"""Rows by their keys: one call, one error, and the rows that belong to those of a page, all at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from service.query import statements
from service.query.fields import Table
from service.query.legs import FAR_FUTURE, TICK, Leg, legs_of
from service.query.pages import Row
from service.query.params import Params
from service.query.predicate import Span
from service.query.scope import Scope
from service.query.selection import Projection, Selection, project
from service.storage.accounts import Accounts


@dataclass(frozen=True, slots=True)
class RowKey:
    """Where a row lies: account, tier, the table's time, and the call's UUID as text."""

    account_id: int
    tier: int
    moment: datetime
    id: str


async def rows_by_key(
    connection: asyncpg.Connection,
    table: Table,
    keys: Iterable[RowKey],
    selection: Selection,
    scope: Scope,
    accounts: Accounts,
    now: datetime,
) -> Mapping[tuple[int, str], Row]:
    """The rows of `keys` that the scope reaches and whose window has not passed, by (account, id)."""
    found: dict[tuple[int, str], Row] = {}
    wanted = {key for key in keys if scope.accounts is None or key.account_id in scope.accounts}
    for leg in legs_of(scope, accounts, tuple(sorted({key.account_id for key in wanted})), table.store, now):
        assert leg.accounts is not None
        inside = [key for key in wanted if key.tier == leg.tier and key.account_id in leg.accounts]
        if inside:
            rows = await _fetch(connection, table, leg, inside, selection, scope)
            found |= {(row["account_id"], row["id"]): row for row in rows}
    return found


def shown(table: Table, selection: Selection, scope: Scope) -> frozenset[str]:
    """The fields whose values this role gets."""
    return _project(table, selection, scope, Params(), Leg(0, None, FAR_FUTURE, FAR_FUTURE, scope.policy)).shown


def _project(table: Table, selection: Selection, scope: Scope, params: Params, leg: Leg) -> Projection:
    return project(table, selection, selection, scope, params, leg)


async def _fetch(
    connection: asyncpg.Connection,
    table: Table,
    leg: Leg,
    keys: Sequence[RowKey],
    selection: Selection,
    scope: Scope,
) -> Sequence[Row]:
    params = Params()
    moments = tuple(sorted({key.moment for key in keys}))
    span = Span(moments[0], moments[-1] + TICK)
    condition = (
        f"{table.time} = ANY ({params.bind(moments, 'timestamptz[]')}) "
        f"AND id = ANY ({params.bind(tuple(sorted({key.id for key in keys})), 'uuid[]')})"
    )

    def columns(_: Leg) -> dict[str, str]:
        selected = _project(table, selection, scope, params, leg).columns
        return {**selected, "account_id": "account_id", table.time: table.time, "id": "id"}

    sql = statements.page(table, [leg], span, columns, [lambda _: condition], f"{table.time}, id", len(keys), params)
    return await connection.fetch(sql, *params.values)
