"""Pages of calls and errors: keyset, forward and backward, cut off at the window exactly."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from service.query.filters.decomposition import Question
from service.query.filters.to_sql import Branch, UserTokens, Where, single_currency
from service.query.model.catalog import CALLS, Table
from service.query.model.errors import BadInputError
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, Predicate, TimeRange, fields_of
from service.query.model.scope import Scope
from service.query.records.ordering import Bound, Cursors, Ordering, OrderTerm, Position, ordering_of
from service.query.records.projection import Projection, Selection, project
from service.query.scan import statements
from service.query.scan.ranges import TICK, Density, ScanRange, by_account, earliest, time_windows, values_of
from service.storage.connection import Connection

PAGE_MAX: Final = 200
PAGE_DEFAULT: Final = 50
# A month of local time can be an hour longer than its days.
UNORDERED_RANGE_MAX: Final = timedelta(days=31, hours=2)

Row = asyncpg.Record


class PageRequest(NamedTuple):
    """A page as asked for. `from_end`: the last `size` rows instead of the first."""

    predicate: Predicate | Question = EVERYTHING
    terms: tuple[OrderTerm, ...] = ()
    size: int = PAGE_DEFAULT
    from_end: bool = False
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class PageSelection:
    """What of the connection is asked for. Nothing else is worked out.

    `projection`: the selection's columns, where they are known beforehand (`fixed_projection`). `texts`: statements
    with these columns that were put together before, by everything else that their text depends on. `texts_only`: time
    and id of a row are only written on, and rows may have them as `ordering.MOMENT` and `ordering.RAW_ID`.
    """

    rows: bool = True
    has_next: bool = True
    has_previous: bool = True
    total: bool = False
    selection: Selection = field(default_factory=dict[str, Any])
    projection: Projection | None = None
    texts_only: bool = False
    texts: dict[Hashable, str] = field(default_factory=dict[Hashable, str], compare=False)


class ListRead(NamedTuple):
    """A list, ready to be read: where its rows lie, and what they must satisfy there.

    `asked`: numbers of the accounts that can have matches (None: any); `erased`: of those whose erasure has begun, in
    the scope or not. `predicate` does not repeat what the scan ranges and
    the span say.
    """

    table: Table
    scope: Scope
    asked: tuple[int, ...] | None
    scan_ranges: Sequence[ScanRange]
    span: TimeRange
    predicate: Predicate
    names: Mapping[str, int]
    users: Mapping[str, UserTokens]
    now: datetime
    binding: bytes
    density: Density
    erased: Collection[int] = ()

    @property
    def only(self) -> list[statements.Condition]:
        """What a list leaves out unless it is asked for: a correction is no call."""
        if self.table is not CALLS or "isCorrection" in fields_of(self.predicate):
            return []
        return [_no_correction]

    def condition(self, params: Params) -> statements.Condition:
        """The filter, for one scan range."""

        def render(scan_range: ScanRange) -> str:
            """The filter as SQL for the rows of one scan range."""
            branch = Branch(scan_range.tier, scan_range.readable, self.names, self.users)
            return Where(self.table.filters, params, branch).render(self.predicate)

        return render


def _no_correction(_: ScanRange) -> str:
    return "correction_of IS NULL"


class Page(NamedTuple):
    """Rows in the asked order, what of them may be shown, and how to go on. `account`: whose all of them are, if known;
    rows with texts only do not say it again.
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
        return self.cursors.seal(self.ordering.position(row), self.binding)


async def read_page(
    connection: Connection,
    reading: ListRead,
    request: PageRequest,
    wanted: PageSelection,
    cursors: Cursors,
    count_rows: Callable[[Connection, ListRead], Awaitable[int]],
) -> Page:
    """The page that `request` asks for; `count_rows` says how many rows the list has in all.

    Raises BadInputError for a cursor or an order that does not fit.
    """
    ordering = ordering_of(reading.table, request.terms)
    if not ordering.by_time:
        _check_order(reading, ordering)
    size, from_end = request.size, request.from_end
    after = None if request.after is None else Bound(cursors.open(request.after, reading.binding), after=True)
    before = None if request.before is None else Bound(cursors.open(request.before, reading.binding), after=False)
    bounds = [bound for bound in (after, before) if bound is not None]
    rows: list[Row] = []
    fetcher = _Fetcher(connection, reading, ordering, wanted)
    if wanted.rows or (wanted.has_previous if from_end else wanted.has_next):
        rows = await fetcher.fetch(bounds, size + 1, backward=from_end)
    probe = _Fetcher(connection, reading, ordering, PageSelection())
    more = len(rows) > size
    rows = rows[:size][::-1] if from_end else rows[:size]
    return Page(
        rows,
        wanted.projection.shown if wanted.projection else shown_fields(reading, wanted.selection),
        (more and not from_end) or (before is not None and wanted.has_next and await probe.exists_past(before)),
        (more and from_end) or (after is not None and wanted.has_previous and await probe.exists_past(after)),
        await count_rows(connection, reading) if wanted.total else None,
        ordering,
        cursors,
        reading.binding,
        fetcher.account,
    )


def _check_order(reading: ListRead, ordering: Ordering) -> None:
    """Orders other than by time: they sort what they read."""
    if any(term == "AMOUNT" for term, _ in ordering.names) and single_currency(reading.predicate) is None:
        raise BadInputError("an order by `AMOUNT` compares within one currency: add `currency: {eq: ...}`")
    start, end = _limits(reading)
    if min(end, reading.now) - start > UNORDERED_RANGE_MAX:
        raise BadInputError(
            f"an order other than by time wants a `{reading.table.time_field}` range of 31 days or less"
        )


def _limits(reading: ListRead) -> tuple[datetime, datetime]:
    oldest = earliest(reading.scan_ranges)
    return max(reading.span.start or oldest, oldest), reading.span.end or reading.now


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
        wanted: PageSelection,
    ) -> None:
        self._wanted = wanted
        self._connection = connection
        self._reading = reading
        self._ordering = ordering
        self.account = reading.scan_ranges[0].account if len(reading.scan_ranges) == 1 else None
        # Of the whole reading: all rows of a page have the same columns.
        self._bare = len(reading.scan_ranges) == 1 and reading.predicate is EVERYTHING and wanted.projection is not None

    async def fetch(self, bounds: Sequence[Bound], limit: int, *, backward: bool) -> list[Row]:
        """The first `limit` rows inside the bounds, from the asked end."""
        rows: list[Row] = []
        for span in self._spans(bounds, backward=backward):
            scan_ranges = [
                scan_range
                for scan_range in self._reading.scan_ranges
                if span.end is None or scan_range.cutoff < span.end
            ]
            if not scan_ranges:
                continue
            asked = limit - len(rows)
            if self._bare and not bounds:
                text, values = (
                    self._text_of(scan_ranges[0], span, backward),
                    values_of(scan_ranges[0], span, asked),
                )
            else:
                text, values = self._statement(scan_ranges, span, bounds, asked, backward=backward)
            rows += await self._connection.fetch(text, *values)
            if len(rows) >= limit:
                break
        if self.account is None and not bounds and self._ordering.descending != backward:
            self._learn(rows, filled=len(rows) >= limit)
        return rows

    def _learn(self, rows: Sequence[Row], *, filled: bool) -> None:
        """How dense rows are at present: the newest page of all calls tells, whoever asks for it."""
        reading, ordering = self._reading, self._ordering
        start, end = _limits(reading)
        if reading.predicate is not EVERYTHING or end < reading.now or not ordering.by_time:
            return
        if any(scan_range.accounts is not None for scan_range in reading.scan_ranges):
            return
        if filled:
            moments = [ordering.time_of(ordering.position(row)) for row in (rows[len(rows) // 2], rows[-1])]
            middle, oldest = [reading.now - moment for moment in moments if moment is not None]
            reading.density.learn(middle, oldest)
        else:
            reading.density.learn_bound(reading.now - start)

    async def exists_past(self, bound: Bound) -> bool:
        """Whether there is a row on the far side of the page's end, the row that the cursor was made of included."""
        far = Bound(bound.position, not bound.after, inclusive=True)
        return bool(await self.fetch([far], 1, backward=bound.after))

    def _spans(self, bounds: Sequence[Bound], *, backward: bool) -> Iterable[TimeRange]:
        reading, ordering = self._reading, self._ordering
        start, end = _limits(reading)
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
        return time_windows(start, end, reading.now, newest_first=newest_first, density=density)

    def _statement(
        self, scan_ranges: Sequence[ScanRange], span: TimeRange, bounds: Sequence[Bound], limit: int, *, backward: bool
    ) -> tuple[str, Sequence[object]]:
        params = Params()
        conditions = [] if self._reading.predicate is EVERYTHING else [self._reading.condition(params)]
        conditions += self._reading.only
        for bound in bounds:
            text = self._ordering.beyond(bound, params)
            conditions.append(lambda _, text=text: text)

        def columns(scan_range: ScanRange) -> Mapping[str, str]:
            """The columns of one scan range: the selected ones, and those of the order."""
            return {**self._project(params, scan_range).columns, **self._ordering.columns()}

        order_by = self._ordering.order_by(backward=backward)
        text = statements.page(self._reading.table, scan_ranges, span, columns, conditions, order_by, limit, params)
        return text, params.values

    def _text_of(self, scan_range: ScanRange, span: TimeRange, backward: bool) -> str:
        """The statement for one scan range with nothing more to ask: most pages. It is put together once."""
        place = (self._ordering.names, backward, scan_range.accounts is None, self.account is None)
        text = self._wanted.texts.get(place)
        if text is None:
            order_by = self._ordering.order_by(backward=backward)
            text = self._wanted.texts[place] = statements.page(
                self._reading.table, [scan_range], span, self._texts_of, self._reading.only, order_by, 0, Params()
            )
        return text

    def _texts_of(self, scan_range: ScanRange) -> Mapping[str, str]:
        columns, texts = dict(self._project(Params(), scan_range).columns), self._wanted.texts_only
        if texts and self._ordering.by_time:
            for name in (self._reading.table.time, "id", *(("account_id",) if self.account is not None else ())):
                columns.pop(name, None)
        return columns | self._ordering.columns(texts=texts)

    def _project(self, params: Params, scan_range: ScanRange) -> Projection:
        if self._wanted.projection is not None:
            return self._wanted.projection
        reading, selection = self._reading, self._wanted.selection
        return project(reading.table, selection, selection, reading.scope, params, scan_range)


__all__ = [
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "ListRead",
    "Page",
    "PageRequest",
    "PageSelection",
    "Position",
    "Row",
    "read_page",
]
