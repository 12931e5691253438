"""The statements of lists, put together from our own pieces: a page, and a count."""
# ruff: noqa: S608 - every piece is a constant of `fields.py` or a placeholder of `params.py`

from collections.abc import Callable, Iterable, Mapping, Sequence

from service.query.model.catalog import Table
from service.query.model.parameters import Params
from service.query.model.predicate import Span
from service.query.scan.ranges import Leg

Columns = Callable[[Leg], Mapping[str, str]]
Condition = Callable[[Leg], str]


def page(
    table: Table,
    legs: Sequence[Leg],
    span: Span,
    columns: Columns,
    conditions: Iterable[Condition],
    order_by: str,
    limit: int,
    params: Params,
) -> str:
    """The first `limit` rows of all legs. Every leg has its own order and limit, so that it stops early."""
    size = params.bind(limit, "bigint")
    conditions = tuple(conditions)
    parts = [
        f"SELECT {_select(columns(leg))} FROM {table.name} WHERE {_within(table, leg, span, conditions, params)} "
        f"ORDER BY {order_by} LIMIT {size}"
        for leg in legs
    ]
    if len(parts) == 1:
        return parts[0]
    return f"{' UNION ALL '.join(f'({part})' for part in parts)} ORDER BY {order_by} LIMIT {size}"


def values_of(leg: Leg, span: Span, limit: int) -> list[object]:
    """What `page` binds for one leg without conditions, in order: its text is the same for every such leg."""
    values: list[object] = [limit, leg.tier, max(span.start or leg.cutoff, leg.cutoff), span.end]
    if leg.accounts is not None:
        values.append(leg.accounts[0] if len(leg.accounts) == 1 else leg.accounts)
    return values


def count(table: Table, legs: Sequence[Leg], span: Span, conditions: Iterable[Condition], params: Params) -> str:
    """One row: how many rows all legs hold."""
    return f"SELECT sum(rows)::bigint FROM ({union(table, legs, span, 'count(*) AS rows', conditions, params)}) AS legs"


def union(
    table: Table, legs: Sequence[Leg], span: Span, select: str, conditions: Iterable[Condition], params: Params
) -> str:
    """The rows of all legs, without an order."""
    conditions = tuple(conditions)
    return " UNION ALL ".join(
        f"SELECT {select} FROM {table.name} WHERE {_within(table, leg, span, conditions, params)}" for leg in legs
    )


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(name if name == sql else f"{sql} AS {name}" for name, sql in columns.items())


def _within(table: Table, leg: Leg, span: Span, conditions: Iterable[Condition], params: Params) -> str:
    """Equality on tier and both ends of the time, as pruning needs them; then the accounts, then the filter."""
    start = max(span.start or leg.cutoff, leg.cutoff)
    parts = [
        f"tier = {params.bind(leg.tier, 'smallint')}",
        f"{table.time} >= {params.bind(start, 'timestamptz')}",
        f"{table.time} < {params.bind(span.end, 'timestamptz')}",
    ]
    if leg.accounts is not None:
        parts.append(_accounts(leg.accounts, params))
    return " AND ".join([*parts, *(f"({condition(leg)})" for condition in conditions)])


def _accounts(accounts: Sequence[int], params: Params) -> str:
    if len(accounts) == 1:
        return f"account_id = {params.bind(accounts[0], 'integer')}"
    return f"account_id = ANY ({params.bind(tuple(accounts), 'integer[]')})"
