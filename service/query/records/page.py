"""Pages of calls and errors: keyset, forward and backward, cut off at the window exactly."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from service.query.filters.decomposition import DecomposedFilter
from service.query.filters.to_sql import form_and_values, single_currency
from service.query.model.errors import BadInputError
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, Predicate, TimeRange
from service.query.records.ordering import MOMENT_ANSWER, Bound, Cursors, Ordering, OrderTerm, Position, ordering_of
from service.query.records.projection import Projection, Selection, project
from service.query.scan import statements
from service.query.scan.cold import ColdRows, Reading
from service.query.scan.list_read import ListRead
from service.query.scan.ranges import TICK, ScanRange, by_account, earliest, time_windows, values_of
from service.storage.cold.tier import GivenRows
from service.storage.connection import Connection

PAGE_MAX: Final = 200
PAGE_DEFAULT: Final = 50
STATEMENTS_MAX: Final = 64
"""Statements that one selection of one role remembers."""
# A month of local time can be an hour longer than its days.
UNORDERED_RANGE_MAX: Final = timedelta(days=31, hours=2)

Row = asyncpg.Record


class PageRequest(NamedTuple):
    """A page as asked for. `from_end`: the last `size` rows instead of the first."""

    predicate: Predicate | DecomposedFilter = EVERYTHING
    terms: tuple[OrderTerm, ...] = ()
    size: int = PAGE_DEFAULT
    from_end: bool = False
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class PageSelection:
    """The parts of a connection that a query selects. Nothing else is worked out.

    `texts`: moments and ids of the rows are only copied into the answer, so that rows of one scan range may have them
    as texts, as `ordering` says.
    """

    rows: bool = True
    has_next: bool = True
    has_previous: bool = True
    total: bool = False
    selection: Selection = field(default_factory=dict[str, Any])
    texts: bool = False


@dataclass(frozen=True, slots=True)
class FixedColumns:
    """The columns of a selection that are the same in every scan range (`fixed_projection`), for pages asked for often.

    `selects`: what statements with these columns select, by order. `statements`: those that were put together before,
    by everything else that their text depends on, the oldest forgotten first.
    `texts_only`: time and id of a row are only copied into the answer, so rows may have them as `ordering.MOMENT` and
    `ordering.KEY`.
    """

    projection: Projection
    texts_only: bool = False
    selects: dict[Hashable, str] = field(default_factory=dict[Hashable, str], compare=False)
    statements: dict[Hashable, str] = field(default_factory=dict[Hashable, str], compare=False)


class Page(NamedTuple):
    """Rows in the asked order, the fields of them that may be shown, and how to go on.

    `account`: the id of the account that all of the rows belong to, if it is one; rows of texts only leave it out.
    """

    rows: Sequence[Row]
    shown: frozenset[str]
    has_next: bool | None
    has_previous: bool | None
    total: int | None
    ordering: Ordering
    cursors: Cursors
    binding: bytes
    account: int | None

    def cursor(self, row: Row) -> str:
        """The cursor of `row` in this order and for this list."""
        return self.cursors.seal_written(self.ordering.written(row), self.binding)

    def edge_cursors(self) -> list[str]:
        """The cursors of all rows, in step."""
        return self.cursors.seal_all(self.ordering.all_written(self.rows), self.binding)


async def read_page(
    connection: Connection,
    reading: ListRead,
    request: PageRequest,
    page_selection: PageSelection,
    cursors: Cursors,
    count_rows: Callable[[Connection, ListRead], Awaitable[int]],
    columns: FixedColumns | None = None,
) -> Page:
    """The page that `request` asks for; `count_rows` says how many rows the list has in all. `columns` are those of the
    selection, where they are known.

    Raises BadInputError for a cursor or an order that does not fit.
    """
    ordering = ordering_of(reading.table, request.terms)
    if not ordering.by_time:
        _check_order(reading, ordering)
    binding = reading.binding
    after = None if request.after is None else Bound(cursors.open(request.after, binding), after=True)
    before = None if request.before is None else Bound(cursors.open(request.before, binding), after=False)
    bounds = [bound for bound in (after, before) if bound is not None]
    fetcher = _Fetcher(connection, reading, ordering, page_selection, columns)
    rows: list[Row] = []
    if fetcher.needs_rows(from_end=request.from_end):
        # One more shows whether there are more.
        rows = await fetcher.fetch(bounds, request.size + 1, backward=request.from_end)
    more = len(rows) > request.size
    rows = rows[: request.size]
    if request.from_end:
        rows, more_after, more_before = rows[::-1], False, more
    else:
        more_after, more_before = more, False
    return Page(
        rows,
        shown_fields(reading, page_selection.selection) if columns is None else columns.projection.shown,
        more_after or (page_selection.has_next and await fetcher.are_past(before)),
        more_before or (page_selection.has_previous and await fetcher.are_past(after)),
        await count_rows(connection, reading) if page_selection.total else None,
        ordering,
        cursors,
        binding,
        fetcher.account,
    )


def _check_order(reading: ListRead, ordering: Ordering) -> None:
    """Orders other than by time: they sort what they read."""
    if any(term == "AMOUNT" for term, _ in ordering.names) and single_currency(reading.predicate) is None:
        raise BadInputError("an order by `AMOUNT` compares within one currency: add `currency: {eq: ...}`")
    start, end = limits(reading)
    if min(end, reading.now) - start > UNORDERED_RANGE_MAX:
        raise BadInputError(
            f"an order other than by time wants a `{reading.table.time_field}` range of 31 days or less"
        )


def limits(reading: ListRead) -> tuple[datetime, datetime]:
    """The first moment that rows of the list can have, and the first one that they cannot."""
    oldest = earliest(reading.scan_ranges)
    return max(reading.time_range.start or oldest, oldest), reading.time_range.end or reading.now


def shown_fields(reading: ListRead, selection: Selection) -> frozenset[str]:
    """The fields of `selection` that the policy lets this scope see; none where there is nothing to read."""
    if not reading.scan_ranges:
        return frozenset()
    return project(reading.table, selection, selection, reading.scope, Params(), reading.scan_ranges[0]).shown


class _Fetcher:
    """Reads one list in one order."""

    def __init__(
        self,
        connection: Connection,
        reading: ListRead,
        ordering: Ordering,
        page_selection: PageSelection,
        fixed: FixedColumns | None = None,
    ) -> None:
        self._page_selection = page_selection
        self._fixed = fixed
        self._connection = connection
        self._reading = reading
        self._ordering = ordering
        self.account = reading.scan_ranges[0].account if len(reading.scan_ranges) == 1 else None
        # These hold for the list and not for one statement: all rows of a page have the same columns.
        self._lone = fixed if len(reading.scan_ranges) == 1 else None

    async def fetch(self, bounds: Sequence[Bound], limit: int, *, backward: bool) -> list[Row]:
        """The first `limit` rows inside the bounds, from the asked end."""
        rows: list[Row] = []
        for time_range in self._time_windows(bounds, backward=backward):
            scan_ranges = [
                scan_range
                for scan_range in self._reading.scan_ranges
                if time_range.end is None or scan_range.cutoff < time_range.end
            ]
            if not scan_ranges:
                continue
            remaining = limit - len(rows)
            if (cold := self._reading.cold) is not None and cold.reads(scan_ranges, time_range):
                rows += await self._fetch_cold(cold, scan_ranges, time_range, bounds, remaining, backward)
            else:
                text, values = self._remembered(scan_ranges, time_range, bounds, remaining, backward)
                rows += await self._connection.fetch(text, *values)
            if len(rows) >= limit:
                break
        if self.account is None and not bounds and self._ordering.descending != backward:
            self._observe_density(rows, filled=len(rows) >= limit)
        return rows

    async def _fetch_cold(
        self,
        cold: ColdRows,
        scan_ranges: Sequence[ScanRange],
        time_range: TimeRange,
        bounds: Sequence[Bound],
        limit: int,
        backward: bool,
    ) -> list[Row]:
        """The first rows of a window of which some may lie in files."""

        def render(window: TimeRange, most: int, given: GivenRows | None) -> tuple[str, Sequence[object]]:
            """The statement for a part of the window."""
            return self._statement(scan_ranges, window, bounds, most, backward=backward, given=given)

        by_time, filtered = self._ordering.by_time, bool(bounds) or self._reading.predicate is not EVERYTHING
        newest_first = self._ordering.descending != backward
        order = Reading(newest_first=newest_first, by_time=by_time, filtered=filtered)
        return await cold.fetch(self._connection, scan_ranges, time_range, limit, render, order)

    def _observe_density(self, rows: Sequence[Row], *, filled: bool) -> None:
        """Note how dense rows lie at present, by the ages of a newest page over every account."""
        reading, ordering = self._reading, self._ordering
        start, end = limits(reading)
        if reading.density is None or not reading.density.is_newest(end, reading.now):
            return
        if reading.predicate is not EVERYTHING or not ordering.by_time:
            return
        if any(scan_range.accounts is not None for scan_range in reading.scan_ranges):
            return
        newest = min(end, reading.now)  # as `time_windows` counts: a clock that is behind makes no row older
        if filled:
            moments = [ordering.time_of(ordering.position(row)) for row in (rows[len(rows) // 2], rows[-1])]
            middle, oldest = [newest - moment for moment in moments if moment is not None]
            reading.density.observe_page(middle, oldest)
        else:
            reading.density.observe_unfilled(newest - start)

    def needs_rows(self, *, from_end: bool) -> bool:
        """Whether the rows of the page are asked for, or whether there are more past the end that is read towards."""
        selection = self._page_selection
        return selection.rows or (selection.has_previous if from_end else selection.has_next)

    async def are_past(self, bound: Bound | None) -> bool:
        """Whether there are rows on the far side of the page's end, the row that the cursor was made of included.

        False for None: the page has no such end.
        """
        if bound is None:
            return False
        probe = _Fetcher(self._connection, self._reading, self._ordering, PageSelection())
        far = Bound(bound.position, not bound.after, inclusive=True)
        return bool(await probe.fetch([far], 1, backward=bound.after))

    def _time_windows(self, bounds: Sequence[Bound], *, backward: bool) -> Iterable[TimeRange]:
        reading, ordering = self._reading, self._ordering
        start, end = limits(reading)
        if not ordering.by_time:
            return [TimeRange(start, end)] if start < end else []
        for bound in bounds:
            moment = ordering.time_of(bound.position)
            # The redundant bound that lets partitions be pruned: a row compare alone does not.
            if moment is not None and ordering.descending == bound.after:
                end = min(end, moment + TICK)
            elif moment is not None:
                start = max(start, moment)
        newest_first = ordering.descending != backward
        ordered = self.account is not None or by_account(reading.scan_ranges)
        density = None if ordered else reading.density
        sparse = reading.predicate is not EVERYTHING
        return time_windows(start, end, reading.now, newest_first=newest_first, density=density, sparse=sparse)

    def _statement(
        self,
        scan_ranges: Sequence[ScanRange],
        time_range: TimeRange,
        bounds: Sequence[Bound],
        limit: int,
        *,
        backward: bool,
        given: GivenRows | None = None,
        apart: bool = False,
    ) -> tuple[str, Sequence[object]]:
        params = Params(apart=apart)
        conditions = [] if self._reading.predicate is EVERYTHING else [self._reading.condition(params)]
        conditions += self._reading.only

        def beyond(bound: Bound) -> statements.Condition:
            """The rows inside of one end of the page."""
            return lambda _: self._ordering.beyond(bound, params)

        conditions += map(beyond, bounds)

        alone = len(self._reading.scan_ranges) == 1
        texts = alone and (self._lone.texts_only if self._lone is not None else self._page_selection.texts)

        def columns(scan_range: ScanRange) -> str:
            """What is selected of one scan range, and of the order."""
            if self._lone is not None:
                return self._fixed_select(self._lone)
            return statements.selected(self._placed(self._project(params, scan_range).columns, texts=texts))

        order_by = self._ordering.order_by(backward=backward)
        text = statements.page(
            self._reading.table, scan_ranges, time_range, columns, conditions, order_by, limit, params, given,
            self._ordering.by_key(backward=backward) if texts else None,
        )  # fmt: skip
        return text, params.values

    def _remembered(
        self,
        scan_ranges: Sequence[ScanRange],
        time_range: TimeRange,
        bounds: Sequence[Bound],
        limit: int,
        backward: bool,
    ) -> tuple[str, Sequence[object]]:
        """The statement, which for one scan range and a simple filter is put together once for all values."""
        fixed, reading, ordering = self._lone, self._reading, self._ordering
        everything = reading.predicate is EVERYTHING
        found = ((), ()) if everything else form_and_values(reading.table.filters, reading.predicate)
        if fixed is None or found is None or (bounds and not ordering.by_time):
            return self._statement(scan_ranges, time_range, bounds, limit, backward=backward)
        form, values = found
        values = [*values_of(scan_ranges[0], time_range, limit), *values]
        for bound in bounds:
            values += ordering.moment_and_id(bound)
        several = scan_ranges[0].accounts is None, self.account is None
        key = (ordering.names, backward, several, form, *[(bound.after, bound.inclusive) for bound in bounds])
        text = fixed.statements.get(key)
        if text is None:
            text, bound_values = self._statement(scan_ranges, time_range, bounds, limit, backward=backward, apart=True)
            assert bound_values == values, "`form_and_values` says what `Where` binds"
            if len(fixed.statements) >= STATEMENTS_MAX:
                del fixed.statements[next(iter(fixed.statements))]
            fixed.statements[key] = text
        return text, values

    def _fixed_select(self, fixed: FixedColumns) -> str:
        """What every statement with these columns selects in this order. It is written once."""
        key = (self._ordering.names, self.account is None)
        text = fixed.selects.get(key)
        if text is None:
            columns = self._placed(fixed.projection.columns, texts=fixed.texts_only)
            text = fixed.selects[key] = statements.selected(columns)
        return text

    def _placed(self, selected: Mapping[str, str], *, texts: bool) -> Mapping[str, str]:
        """The selected columns, and those that say where a row stands. `texts`: see `FixedColumns.texts_only`."""
        columns, table = dict(selected), self._reading.table
        if texts and self._ordering.by_time:
            for name in (table.time, "id", *(("account_id",) if self.account is not None else ())):
                columns.pop(name, None)
            if self._page_selection.texts:
                columns |= {name: MOMENT_ANSWER.format(moment=columns[name]) for name in table.moments & {*columns}}
        return columns | self._ordering.columns(texts=texts)

    def _project(self, params: Params, scan_range: ScanRange) -> Projection:
        if self._fixed is not None:
            return self._fixed.projection
        reading, selection = self._reading, self._page_selection.selection
        return project(reading.table, selection, selection, reading.scope, params, scan_range)


__all__ = [
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "FixedColumns",
    "ListRead",
    "Page",
    "PageRequest",
    "PageSelection",
    "Position",
    "Row",
    "read_page",
]
