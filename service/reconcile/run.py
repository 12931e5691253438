"""One comparison, from a file of rows to what differs."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from service.errors import RequestError
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource
from service.ingest.formats.split import in_turns
from service.log_redaction import guarded
from service.offload import TURN_S, Paced, clock, next_turn
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.reconcile.billed import Billed, Keys
from service.reconcile.comparison import Differences, SingleComparison, Tolerance, compare_sums
from service.reconcile.layouts import BilledRow, BilledRowError, StatementLayout, billed_row, flattened, layout_of
from service.reconcile.recorded_calls import Recorded

_SHOWN_NAMES: Final = 12
Seen = Callable[[int, int], None]
"""Told now and then how many rows of theirs, and how many calls of ours, were read."""


def _unseen(_rows: int, _calls: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """What is compared. `layout` None: recognised by the names of the columns; `days` None: those of the source.
    `currency`: of rows that name none. `tolerance`: a share of an amount. `columns`: which column is what an invoice
    calls `day`, `model`, `amount`, `currency`, `tokens` or `id`.
    """

    name: str
    zone: ZoneInfo
    tolerance: Decimal
    layout: str | None = None
    days: tuple[date, date] | None = None
    currency: str | None = None
    accounts: tuple[str, ...] = ()
    served: bool = False
    columns: Mapping[str, str] = field(default_factory=dict[str, str])


class BilledRows(Protocol):
    """What reads their rows. `name`: of what they are; None: no row has said it yet."""

    @property
    def name(self) -> str | None:
        """The layout's name, as `calledger reconcile --from` has it."""
        ...

    @property
    def source(self) -> str | None:
        """The `source` of the calls that they are of; None: of any."""
        ...

    def rows(self, data: bytes) -> Iterator[BilledRow]:
        """The billed rows of one row of JSON. Raises BilledRowError."""
        ...


class StatementRows:
    """Rows of bills and usage exports, by their layout."""

    source = None

    def __init__(self, request: ReconcileRequest) -> None:
        self._request = request
        self._layout: StatementLayout | None = None

    @property
    def name(self) -> str | None:
        """The layout's; None before the first row."""
        return None if self._layout is None else self._layout.name

    def rows(self, data: bytes) -> Iterator[BilledRow]:
        """The rows as BilledRows. Raises RequestError where the first row is of no layout."""
        request = self._request
        for row in flattened(_parsed(data)):
            if self._layout is None:
                self._layout = layout_of(set(row) | set(request.columns), request.layout)
            row |= {name: row.get(column) for name, column in request.columns.items()}
            yield billed_row(self._layout, row, request.zone, request.currency)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What came of a comparison. `by_ids`: single calls were compared, not sums alone. `theirs` and `ours`: totals by
    currency.
    """

    request: ReconcileRequest
    layout: str
    days: tuple[date, date]
    made_at: datetime
    rows: int
    calls: int
    by_ids: bool
    unread: Mapping[str, int]
    theirs: Mapping[str, Decimal]
    ours: Mapping[str, Decimal]
    differences: Differences


async def reconcile(
    source: RowSource,
    reader: Reader,
    scope: Scope,
    request: ReconcileRequest,
    seen: Seen = _unseen,
    *,
    read: BilledRows | None = None,
) -> Reconciliation:
    """Compare a source, whose rows `read` reads (None: by a bill's layout), with what was recorded.

    Raises RequestError and SourceError.
    """
    _check_columns(source, request.columns)
    read = read or StatementRows(request)
    billed = await _read(source, read, request.days, seen)
    days = request.days or billed.days()
    if read.name is None or days is None:
        raise RequestError(f"`{request.name}` has no rows that can be read")
    recorded = Recorded(reader, scope, days, request.zone, request.accounts, request.served, read.source)
    tolerance, refused = Tolerance.of(request.tolerance, billed), await recorded.refused()
    ours, singles = Keys(), await in_turns(billed.singles())
    if singles is not None:
        await recorded.refuse_purged()
        comparison, calls, until = SingleComparison(singles, tolerance, days), 0, clock() + TURN_S
        async for call in recorded.calls():
            if comparison.see(call):
                calls += 1
                ours.of(call.key).add(call.amount, None)
            if not calls % 10_000:
                seen(billed.rows, calls)
            if clock() > until:
                until = await next_turn()
        differences = await in_turns(comparison.end(refused))
    else:
        ours = await recorded.sums()
        differences = compare_sums(billed.keys, ours, tolerance, refused)
    return Reconciliation(
        request,
        read.name,
        days,
        datetime.now(UTC),
        billed.rows,
        sum(sums.rows for sums in ours.sums.values()),
        singles is not None,
        billed.unread,
        _totals(billed.keys),
        _totals(ours),
        differences,
    )


async def _read(source: RowSource, read: BilledRows, days: tuple[date, date] | None, seen: Seen) -> Billed:
    billed = Billed()
    async with aclosing(source.pages(None)) as pages:
        async for page in pages:
            async for data in Paced(page.rows):
                try:
                    for row in read.rows(bytes(data)):
                        if days is None or row.adds or days[0] <= row.day <= days[1]:
                            billed.add(row)
                except BilledRowError as error:
                    billed.leave(str(error))
            seen(billed.rows, 0)
    return billed


def _check_columns(source: RowSource, columns: Mapping[str, str]) -> None:
    """Raise RequestError for a column that a file of CSV has not."""
    names = source.column_names() if columns and isinstance(source, FileSource) else ()
    for name, column in columns.items() if names else ():
        if column not in names:
            near = get_close_matches(column, names, 3) or names[:_SHOWN_NAMES]
            has = ", ".join(f"`{guarded(one, max_chars=80)}`" for one in near)
            raise RequestError(f"the file has no column `{column[:80]}` for `{name}`, but {has}")


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - a value of JSON
    try:
        return json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise BilledRowError("is no JSON") from None


def _totals(keys: Keys) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for key, sums in keys.sums.items():
        if key.currency is not None:
            totals[key.currency] = totals.get(key.currency, Decimal(0)) + sums.amount
    return dict(sorted(totals.items()))
