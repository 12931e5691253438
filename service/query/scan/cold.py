"""Rows of lists that lie in files: which files a time window touches, and its rows handed over part by part.

A window is cut into adjoining parts of some rows of files each, and every part is read by one statement, from
the table and from what is given of the files. So a list goes on across files as it does across partitions, and a row
that moves meanwhile is in one of the two, in the statement's snapshot.
"""

import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

import asyncpg

from service.query.model.errors import BadInputError, OutOfRetentionError, QueryTimeoutError
from service.query.model.predicate import TimeRange
from service.query.scan.ranges import TICK, ScanRange
from service.storage.cold.catalogue import ColdFile, overlapping
from service.storage.cold.columns import KEY_COLUMNS, CallsAt
from service.storage.cold.errors import LOGGED, ColdFileError, TooManyRowsError
from service.storage.cold.tier import ColdRead, ColdTier, FoundRows, GivenRows
from service.storage.connection import Connection

Statement = tuple[str, Sequence[object]]
Render = Callable[[TimeRange, int, GivenRows | None], Statement]
"""Makes the statement of one time window: at most so many rows, with what is given of files."""

SORTED_MAX: Final = 20_000
"""Rows of files that an order other than by time may sort, and that sums may read one by one."""
_ROWS_MAX: Final = 16_384
_GROWTH: Final = 4
_WORD: Final = re.compile(r"[a-z0-9_]+", re.ASCII)
_SECONDS_MAX: Final = 30.0
_SHORTEST: Final = timedelta(seconds=1)
_NOTHING: Final = GivenRows((), "[]")
KNOWN_S: Final = 90.0
"""How old the list of files may be when a statement begins. A file is listed for two minutes before it answers for its
rows (`service.retention.cold.freeze.LEASE`)."""


class UnsharedError(Exception):
    """A list has come to files, over a connection that is not of its key's share."""


class Reading(NamedTuple):
    """How rows are read. `by_time`: in the order of time, or else all of them are sorted at once; `filtered`: not every
    row counts.
    """

    newest_first: bool
    by_time: bool
    filtered: bool


class ColdRows(NamedTuple):
    """The files that a reading may touch, and what reads them (None: this process has no folder of files).

    `known_at`: when they were listed, by the monotonic clock. `logs_parameters`: rows that are handed to a statement
    would get into the server's log, and are not. `shared`: no connection is held, or one of the key's share: files are
    read one after the other, and other keys would wait for what is held meanwhile.
    """

    tier: ColdTier | None
    files: Sequence[ColdFile]
    known_at: float
    logs_parameters: bool = False
    shared: bool = True

    def check_known(self) -> None:
        """Raise QueryTimeoutError where the list of files is too old for another statement."""
        if time.monotonic() - self.known_at > KNOWN_S:
            raise QueryTimeoutError

    def reads(self, scan_ranges: Sequence[ScanRange], time_range: TimeRange) -> list[ColdRead]:
        """The parts of files in which rows of these ranges can lie."""
        end = time_range.end
        return [
            ColdRead(file, scan_range.accounts, start, stop)
            for scan_range in scan_ranges
            for file in self.files
            if file.tier == scan_range.tier
            and (start := max(time_range.start or scan_range.cutoff, scan_range.cutoff, file.start))
            < (stop := file.end if end is None else min(end, file.end))
        ]

    async def fetch(
        self,
        connection: Connection,
        scan_ranges: Sequence[ScanRange],
        time_range: TimeRange,
        limit: int,
        render: Render,
        how: Reading,
    ) -> list[asyncpg.Record]:
        """The first `limit` rows of a window that touches files.

        Raises ColdFileError, BadInputError, TooManyRowsError, QueryTimeoutError and UnsharedError.
        """
        newest_first, by_time, filtered = how
        rows: list[asyncpg.Record] = []
        until = time.monotonic() + _SECONDS_MAX
        windows = self._windows(scan_ranges, time_range, newest_first)[::-1] if by_time else [time_range]
        while windows:
            window = windows.pop()
            reads = self.reads(scan_ranges, window)
            try:
                found = await self.opened(reads).find(reads, newest_first=newest_first) if reads else None
            except TooManyRowsError:
                if not by_time:
                    raise
                halves = _halves(reads, window)
                windows += halves if newest_first else halves[::-1]
                continue
            most = (limit if not filtered else max(limit, _ROWS_MAX // _GROWTH**2)) if by_time else SORTED_MAX
            async for part, given in self._parts(found, window, most, newest_first, render):
                if not by_time and part != window:
                    raise BadInputError(
                        f"an order other than by time sorts {SORTED_MAX} calls of the cold tier at most: name an "
                        "account, or a shorter time"
                    )
                self.check_known()
                text, values = render(part, limit - len(rows), given)
                rows += await connection.fetch(text, *values)
                if len(rows) >= limit:
                    return rows
                if time.monotonic() > until:
                    raise QueryTimeoutError
        return rows

    def _windows(self, scan_ranges: Sequence[ScanRange], time_range: TimeRange, newest_first: bool) -> list[TimeRange]:
        """The window cut where files begin and end, so that the keys of one file a tier are looked at together."""
        start = time_range.start or min(scan_range.cutoff for scan_range in scan_ranges)
        end = time_range.end
        cuts = {moment for one in self.reads(scan_ranges, time_range) for moment in (one.start, one.end)}
        edges: list[datetime | None] = [
            start,
            *sorted(cut for cut in cuts if start < cut and (end is None or cut < end)),
            end,
        ]
        windows = [TimeRange(*pair) for pair in pairwise(edges)]
        return windows[::-1] if newest_first else windows

    async def _parts(
        self, found: FoundRows | None, window: TimeRange, most: int, newest_first: bool, render: Render
    ) -> AsyncIterator[tuple[TimeRange, GivenRows | None]]:
        """Adjoining parts of a window, in the order in which they are read, with the rows that files have in them."""
        if found is None:
            yield window, None
            return
        tier = self.opened(found.reads)
        columns = columns_of(render(window, 1, _NOTHING)[0])
        first, (start, end) = 0, window
        while True:
            last = found.keys.last_of(first, most)
            if last - first > 2 * max(most, _ROWS_MAX):
                raise BadInputError("too many calls of one moment: add a filter by account")
            given = await tier.give(found, first, last, columns) if last > first else None
            if last == len(found.keys):
                yield TimeRange(start, end), given
                return
            edge = found.keys.moment(last - 1)
            if newest_first:
                yield TimeRange(edge, end), given
                end = edge
            else:
                yield TimeRange(start, edge + TICK), given
                start = edge + TICK
            first, most = last, min(most * _GROWTH, max(most, _ROWS_MAX))

    async def calls(
        self, scan_range: ScanRange, accounts: Collection[int], calls: CallsAt, columns: Collection[str]
    ) -> GivenRows | None:
        """Single calls of these accounts that are in files, and their corrections; None where no file can have any.

        Raises ColdFileError, QueryTimeoutError and UnsharedError.
        """
        time_range = TimeRange(min(calls.moments), max(calls.moments) + TICK)
        reads = self.reads([scan_range._replace(accounts=tuple(sorted(accounts)))], time_range)
        reads = [one._replace(calls=calls) for one in reads if any(one.start <= at < one.end for at in calls.moments)]
        if not reads:
            return None
        tier = self.opened(reads)
        found = await tier.find(reads)
        given = await tier.give(found, 0, len(found.keys), columns)
        self.check_known()
        return given

    async def single_calls(
        self, parts: Iterable[tuple[int, datetime, datetime]], accounts: tuple[int, ...] | None
    ) -> GivenRows | None:
        """The rows of files that sums read one by one: of these accounts (None: all), in parts given by tier, start and
        end. None where files have none of that time. Raises ColdFileError, UnsharedError, and OutOfRetentionError for
        too many.
        """
        reads = self._single(parts, accounts)
        if not reads:
            return None
        tier = self.opened(reads)
        try:
            found = await tier.find(reads, most=SORTED_MAX)
        except TooManyRowsError:
            raise OutOfRetentionError(_too_many(reads)) from None
        given = await tier.give(found, 0, len(found.keys), None)
        self.check_known()
        return given

    async def every_call(
        self, at: Iterable[tuple[int, datetime, datetime]], accounts: tuple[int, ...] | None, columns: Collection[str]
    ) -> AsyncIterator[GivenRows]:
        """As `single_calls`, however many there are, some thousand at a time and with these columns."""
        reads = self._single(at, accounts)
        tier = self.opened(reads) if reads else None
        for read in reads:
            assert tier is not None, "there is a file"
            async for given in tier.parts(read, columns):
                yield given

    def _single(
        self, parts: Iterable[tuple[int, datetime, datetime]], accounts: tuple[int, ...] | None
    ) -> list[ColdRead]:
        return [
            ColdRead(file, accounts, max(start, file.start), min(end, file.end))
            for tier, start, end in parts
            for file in overlapping(self.files, tier, start, end)
        ]

    def until(self, now: datetime) -> datetime:
        """Where the newest file ends; no later than now."""
        return min(max(file.end for file in self.files), now)

    def opened(self, reads: Sequence[ColdRead]) -> ColdTier:
        """What reads the files. Raises ColdFileError where this process has no folder of them, and UnsharedError."""
        if not self.shared:
            raise UnsharedError
        if self.tier is None:
            raise ColdFileError(f"calls from `{reads[0].file.start:%Y-%m-%d}` on are in files that are not here")
        if self.logs_parameters and any(one.file.frozen for one in reads):
            raise ColdFileError(LOGGED)
        return self.tier


def _halves(reads: Sequence[ColdRead], window: TimeRange) -> list[TimeRange]:
    """The window in two, by the time of what is read of files. Raises TooManyRowsError for less than a second."""
    start, end = min(one.start for one in reads), max(one.end for one in reads)
    if end - start < _SHORTEST:
        raise TooManyRowsError
    middle = start + (end - start) / 2
    return [TimeRange(window.start, middle), TimeRange(middle, window.end)]


def _too_many(reads: Sequence[ColdRead]) -> str:
    end = max(one.file.end for one in reads)
    return (
        f"this needs single calls from before `{end:%Y-%m-%dT%H:%M:%SZ}`, which are in the cold tier, and more than "
        f"{SORTED_MAX} of them are not summed one by one: begin `startedAt` there, or ask for what sums answer"
    )


def columns_of(statement: str) -> frozenset[str]:
    """The columns that a statement can read: its words, and the key."""
    return frozenset(_WORD.findall(statement)) | KEY_COLUMNS
