"""The statements of lists, put together from our own pieces: a page, and a count."""
# ruff: noqa: S608 - every piece is a constant of `fields.py` or a placeholder of `params.py`

from collections.abc import Callable, Iterable, Mapping, Sequence

from service.query.model.catalog import Table
from service.query.model.parameters import Params
from service.query.model.predicate import TimeRange
from service.query.scan.ranges import ScanRange
from service.storage.cold.tier import GivenRows

Columns = Callable[[ScanRange], str]
"""What to select of a scan range, as `selected` writes it."""
Condition = Callable[[ScanRange], str]


def page(
    table: Table,
    scan_ranges: Sequence[ScanRange],
    time_range: TimeRange,
    columns: Columns,
    conditions: Iterable[Condition],
    order_by: str,
    limit: int,
    params: Params,
    given: GivenRows | None = None,
    together: str | None = None,
) -> str:
    """The first `limit` rows of all scan ranges. Each has its own order and limit, so that it stops early.

    `given`: rows of files, which are read beside those of the table. `together`: the order of all parts, where they do
    not select what `order_by` names.
    """
    size = params.bind(limit, "bigint")
    conditions = tuple(conditions)
    parts = [
        f"SELECT {columns(scan_range)} FROM {source}"
        f" WHERE {_within(table, scan_range, time_range, conditions, params)}"
        f" ORDER BY {order_by} LIMIT {size}"
        for scan_range in scan_ranges
        for source in sources(table.name, params, given)
    ]
    if len(parts) == 1:
        return parts[0]
    return f"{' UNION ALL '.join(f'({part})' for part in parts)} ORDER BY {together or order_by} LIMIT {size}"


def count(
    table: Table,
    scan_ranges: Sequence[ScanRange],
    time_range: TimeRange,
    conditions: Iterable[Condition],
    params: Params,
    given: GivenRows | None = None,
) -> str:
    """One row: how many rows all scan ranges hold, with those of files that are `given`."""
    counts = union(table, scan_ranges, time_range, "count(*) AS rows", conditions, params, given)
    return f"SELECT sum(rows)::bigint FROM ({counts}) AS ranges"


def union(
    table: Table,
    scan_ranges: Sequence[ScanRange],
    time_range: TimeRange,
    select: str,
    conditions: Iterable[Condition],
    params: Params,
    given: GivenRows | None = None,
) -> str:
    """The rows of all scan ranges, without an order; with those of files that are `given`."""
    conditions = tuple(conditions)
    return " UNION ALL ".join(
        f"SELECT {select} FROM {source} WHERE {_within(table, scan_range, time_range, conditions, params)}"
        for scan_range in scan_ranges
        for source in sources(table.name, params, given)
    )


def sources(table: str, params: Params, given: GivenRows | None) -> tuple[str, ...]:
    """What rows of `table` are selected from: the table, and those that are given under its name."""
    if given is None:
        return (table,)
    files, rows = params.bind(given.files, "bigint[]"), params.bind(given.rows, "json")
    return table, f"calledger_cold({files}, {rows}) AS {table}"


def selected(columns: Mapping[str, str]) -> str:
    """The text after `SELECT`, of SQL by alias."""
    return ", ".join(name if name == sql else f"{sql} AS {name}" for name, sql in columns.items())


def _within(
    table: Table, scan_range: ScanRange, time_range: TimeRange, conditions: Iterable[Condition], params: Params
) -> str:
    """Equality on tier and both ends of the time, as pruning needs them; then the accounts, then the filter."""
    start = max(time_range.start or scan_range.cutoff, scan_range.cutoff)
    parts = [
        f"tier = {params.bind(scan_range.tier, 'smallint')}",
        f"{table.time} >= {params.bind(start, 'timestamptz')}",
        f"{table.time} < {params.bind(time_range.end, 'timestamptz')}",
    ]
    if scan_range.accounts is not None:
        parts.append(_accounts(scan_range.accounts, params))
    return " AND ".join([*parts, *(f"({condition(scan_range)})" for condition in conditions)])


def _accounts(accounts: Sequence[int], params: Params) -> str:
    if len(accounts) == 1:
        return f"account_id = {params.bind(accounts[0], 'integer')}"
    return f"account_id = ANY ({params.bind(tuple(accounts), 'integer[]')})"
