"""Pages of calls and errors: keyset, forward and backward, cut off at the window exactly."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from service.query import statements
from service.query.cursor import Cursors, Position
from service.query.errors import BadInputError
from service.query.fields import Table
from service.query.legs import TICK, Leg, earliest
from service.query.ordering import Bound, Ordering, OrderTerm, ordering_of
from service.query.params import Params
from service.query.predicate import EVERYTHING, Predicate, Span
from service.query.question import Question
from service.query.scope import Scope
from service.query.selection import Projection, Selection, project
from service.query.slices import slices
from service.query.where import Branch, UserTokens, Where, single_currency

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
class Wanted:
    """What of the connection is asked for. Nothing else is worked out.

    `projection`: the selection's columns, where they are known beforehand (`fixed_projection`). `texts`: statements
    with these columns that were put together before, by everything else that their text depends on. `moment_texts`: of
    the table's time only a text is wanted, and rows may have it under `ordering.MOMENT`.
    """

    rows: bool = True
    has_next: bool = True
    has_previous: bool = True
    total: bool = False
    selection: Selection = field(default_factory=dict[str, Any])
    projection: Projection | None = None
    moment_texts: bool = False
    texts: dict[Hashable, str] = field(default_factory=dict[Hashable, str], compare=False)


class Reading(NamedTuple):
    """A list, ready to be read: where its rows lie, and what they must satisfy there.

    `asked`: numbers of the accounts that can have matches (None: any). `predicate` does not repeat what the legs and
    the span say.
    """

    table: Table
    scope: Scope
    asked: tuple[int, ...] | None
    legs: Sequence[Leg]
    span: Span
    predicate: Predicate
    names: Mapping[str, int]
    users: Mapping[str, UserTokens]
    now: datetime
    binding: bytes

    def condition(self, params: Params) -> statements.Condition:
        """The filter, for one leg."""

        def render(leg: Leg) -> str:
            branch = Branch(leg.tier, leg.readable, self.names, self.users)
            return Where(self.table.filters, params, branch).render(self.predicate)

        return render


class Page(NamedTuple):
    """Rows in the asked order, what of them may be shown, and how to go on."""

    rows: Sequence[Row]
    shown: frozenset[str]
    has_next: bool | None
    has_previous: bool | None
    total: int | None
    ordering: Ordering
    cursors: Cursors
    binding: bytes

    def cursor(self, row: Row) -> str:
        return self.cursors.seal(self.ordering.position(row), self.binding)


async def read_page(
    connection: asyncpg.Connection,
    reading: Reading,
    request: PageRequest,
    wanted: Wanted,
    cursors: Cursors,
    count_rows: Callable[[asyncpg.Connection, Reading], Awaitable[int]],
) -> Page:
    """The page that `request` asks for; `count_rows` says how many rows the list has in all.

    Raises BadInputError for a cursor or an order that does not fit.
    """
    ordering = ordering_of(reading.table, request.terms)
    _check_order(reading, ordering)
    after = None if request.after is None else Bound(cursors.open(request.after, reading.binding), after=True)
    before = None if request.before is None else Bound(cursors.open(request.before, reading.binding), after=False)
    bounds = [bound for bound in (after, before) if bound is not None]
    rows: list[Row] = []
    if wanted.rows or (wanted.has_previous if request.from_end else wanted.has_next):
        fetcher = _Fetcher(connection, reading, ordering, wanted)
        rows = await fetcher.fetch(bounds, request.size + 1, backward=request.from_end)
    probe = _Fetcher(connection, reading, ordering, Wanted()) if bounds else None
    more = len(rows) > request.size
    rows = rows[: request.size][::-1] if request.from_end else rows[: request.size]
    return Page(
        rows,
        wanted.projection.shown if wanted.projection else shown_fields(reading, wanted.selection),
        (more and not request.from_end) or (before is not None and wanted.has_next and await probe.exists_past(before)),
        (more and request.from_end) or (after is not None and wanted.has_previous and await probe.exists_past(after)),
        await count_rows(connection, reading) if wanted.total else None,
        ordering,
        cursors,
        reading.binding,
    )


def _check_order(reading: Reading, ordering: Ordering) -> None:
    if any(term == "AMOUNT" for term, _ in ordering.names) and single_currency(reading.predicate) is None:
        raise BadInputError("an order by `AMOUNT` compares within one currency: add `currency: {eq: ...}`")
    if ordering.by_time:
        return
    start, end = _limits(reading)
    if min(end, reading.now) - start > UNORDERED_RANGE_MAX:
        raise BadInputError(
            f"an order other than by time wants a `{reading.table.time_field}` range of 31 days or less"
        )


def _limits(reading: Reading) -> tuple[datetime, datetime]:
    oldest = earliest(reading.legs)
    return max(reading.span.start or oldest, oldest), reading.span.end or reading.now


def shown_fields(reading: Reading, selection: Selection) -> frozenset[str]:
    if not reading.legs:
        return frozenset()
    return project(reading.table, selection, selection, reading.scope, Params(), reading.legs[0]).shown


class _Fetcher:
    """Reads one list in one order."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        reading: Reading,
        ordering: Ordering,
        wanted: Wanted,
    ) -> None:
        self._wanted = wanted
        self._connection = connection
        self._reading = reading
        self._ordering = ordering

    async def fetch(self, bounds: Sequence[Bound], limit: int, *, backward: bool) -> list[Row]:
        """The first `limit` rows inside the bounds, from the asked end."""
        rows: list[Row] = []
        for span in self._spans(bounds, backward=backward):
            legs = [leg for leg in self._reading.legs if span.end is None or leg.cutoff < span.end]
            if legs:
                rows += await self._fetch_slice(legs, span, bounds, limit - len(rows), backward=backward)
            if len(rows) >= limit:
                break
        return rows

    async def exists_past(self, bound: Bound) -> bool:
        """Whether there is a row on the far side of the page's end, the row that the cursor was made of included."""
        far = Bound(bound.position, not bound.after, inclusive=True)
        return bool(await self.fetch([far], 1, backward=bound.after))

    def _spans(self, bounds: Sequence[Bound], *, backward: bool) -> Iterable[Span]:
        reading, ordering = self._reading, self._ordering
        start, end = _limits(reading)
        if not ordering.by_time:
            return [Span(start, end)] if start < end else []
        for bound in bounds:
            moment = ordering.time_of(bound.position)
            # The redundant bound that lets partitions be pruned: a row compare alone does not.
            if moment is not None and ordering.descending == bound.after:
                end = min(end, moment + TICK)
            elif moment is not None:
                start = max(start, moment)
        newest_first = ordering.descending != backward
        ordered = all(leg.accounts is not None and len(leg.accounts) == 1 for leg in reading.legs)
        return slices(start, end, reading.now, newest_first=newest_first, ordered=ordered)

    async def _fetch_slice(
        self, legs: Sequence[Leg], span: Span, bounds: Sequence[Bound], limit: int, *, backward: bool
    ) -> list[Row]:
        if not bounds and len(legs) == 1 and self._reading.predicate is EVERYTHING and self._wanted.projection:
            return await self._fetch_leg(legs[0], span, limit, backward=backward)
        params = Params()
        conditions = [] if self._reading.predicate is EVERYTHING else [self._reading.condition(params)]
        for bound in bounds:
            text = self._ordering.beyond(bound, params)
            conditions.append(lambda _, text=text: text)  # type: ignore[misc]

        def columns(leg: Leg) -> Mapping[str, str]:
            return {**self._project(params, leg).columns, **self._ordering.columns()}

        order_by = self._ordering.order_by(backward=backward)
        sql = statements.page(self._reading.table, legs, span, columns, conditions, order_by, limit, params)
        return await self._connection.fetch(sql, *params.values)

    async def _fetch_leg(self, leg: Leg, span: Span, limit: int, *, backward: bool) -> list[Row]:
        """The same for one leg with nothing more to ask: most pages. Their statement's text is put together once."""
        place = (self._ordering.names, backward, leg.accounts and len(leg.accounts) == 1)
        text = self._wanted.texts.get(place)
        if text is None:
            text = self._wanted.texts[place] = statements.page(
                self._reading.table,
                [leg],
                span,
                self._texts_of,
                [],
                self._ordering.order_by(backward=backward),
                limit,
                Params(),
            )
        return await self._connection.fetch(text, *statements.values_of(leg, span, limit))

    def _texts_of(self, leg: Leg) -> Mapping[str, str]:
        columns, texts = dict(self._project(Params(), leg).columns), self._wanted.moment_texts
        if texts and self._ordering.by_time:
            columns.pop(self._reading.table.time, None)
        return columns | self._ordering.columns(texts=texts)

    def _project(self, params: Params, leg: Leg) -> Projection:
        if self._wanted.projection is not None:
            return self._wanted.projection
        reading, selection = self._reading, self._wanted.selection
        return project(reading.table, selection, selection, reading.scope, params, leg)


__all__ = ["PAGE_DEFAULT", "PAGE_MAX", "Page", "PageRequest", "Position", "Reading", "Row", "Wanted", "read_page"]
