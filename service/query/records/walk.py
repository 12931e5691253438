"""Reads a list to its end, oldest first, in pages of a statement each, and no transaction stays open between them.

Rows of one account come out of the index in order. Those of several lie in the order of time on the disk and are sorted
page by page: each statement reads a window of time that holds about a page, so that each row is read about once however
many there are. How wide it is, the windows before tell.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, TimeRange
from service.query.records.ordering import Cursors
from service.query.records.page import ListRead, Page, PageRequest, PageSelection, limits, read_page
from service.query.scan import statements
from service.query.scan.ranges import by_account
from service.storage.connection import Connection

_FIRST: Final = timedelta(hours=1)
_NARROWEST: Final = timedelta(milliseconds=50)
_WIDEST: Final = timedelta(days=7)
_GROWTH: Final = 4.0
_SHRINKAGE: Final = 1 / 16
_FULL: Final = 8
"""A window is too wide where it holds so many pages: its rows are sorted for each of them."""


@dataclass(slots=True)
class Walk:
    """How far a list has been read. `after`: the cursor behind which it goes on; `ended`: there are no more rows."""

    size: int
    after: str | None = None
    ended: bool = False
    _from: datetime | None = None
    _until: datetime | None = None
    _width: timedelta = _FIRST
    _rows: int = 0
    _known: bool = field(default=False)

    async def page(
        self,
        connection: Connection,
        reading: ListRead,
        request: PageRequest,
        selection: PageSelection,
        cursors: Cursors,
        count: Callable[[Connection, ListRead], Awaitable[int]],
    ) -> Page:
        """The next page, of `size` rows at most, of a list that was prepared just now. It may be empty where it is the
        last.
        """
        start, end = limits(reading)
        if self._from is None and self.after is not None:
            self._from = start  # the cursor says where to begin
        ordered = by_account(reading.scan_ranges)
        while True:
            lower = max(start, self._from or start)
            upper = end if ordered else await self._upper(connection, reading, lower, end)
            within = reading._replace(time_range=TimeRange(lower, upper), density=None)
            page = await read_page(
                connection, within, request._replace(size=self.size, after=self.after), selection, cursors, count
            )
            self._rows += len(page.rows)
            if page.rows:
                self.after = page.cursor(page.rows[-1])
            if page.has_next:
                return page
            self._advance(upper)
            self.ended = upper >= end
            if page.rows or self.ended:
                return page

    async def _upper(self, connection: Connection, reading: ListRead, lower: datetime, end: datetime) -> datetime:
        """Where the window ends that is being read, or a new one: everything to the end of the list where it is that
        near.
        """
        if self._until is not None:
            return min(self._until, end)
        while True:
            upper = lower + self._width
            if upper >= min(end, reading.now):
                # What a wrong clock has put into the future belongs to the last window.
                upper = end
            narrow = self._known or self._width <= _NARROWEST
            if narrow or not await _holds(connection, reading, lower, upper, _FULL * self.size):
                break
            self._width = max(self._width * _SHRINKAGE, _NARROWEST)
        self._until = upper
        return upper

    def _advance(self, upper: datetime) -> None:
        """Go on behind a window that has been read, with one about as wide as the rows of this one suggest.

        Where it held few rows, the next one may hold many more than it suggests: that is looked at first.
        """
        share = 0.8 * self.size / max(self._rows, 1)
        self._known = share < _GROWTH
        self._width = min(max(self._width * min(max(share, _SHRINKAGE), _GROWTH), _NARROWEST), _WIDEST)
        self._from, self._until, self._rows = upper, None, 0


async def _holds(connection: Connection, reading: ListRead, lower: datetime, upper: datetime, rows: int) -> bool:
    """Whether a window holds more than so many rows; no more than that are looked at."""
    params = Params()
    conditions = [] if reading.predicate is EVERYTHING else [reading.condition(params)]
    union = statements.union(
        reading.table, reading.scan_ranges, TimeRange(lower, upper), "1", [*conditions, *reading.only], params
    )
    text = f"{union} LIMIT 1 OFFSET {params.bind(rows, 'bigint')}"
    return bool(await connection.fetch(text, *params.values))
