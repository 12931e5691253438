"""The change feed: calls, corrections and completions in the order of commits, read on from a position.

Positions are dense and visible in their order (`service.storage.numbering`), so what lies behind a position never
changes any more. A cursor holds a position and the epoch that it is of: in another history of the database, such as
before it was restored, the same position is another change, and the cursor is refused.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from service.query.model.catalog import CALLS
from service.query.model.errors import CursorExpiredError
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, Predicate
from service.query.records.ordering import CursorError, Cursors
from service.query.records.page import PAGE_DEFAULT, ListRead, Row
from service.query.records.projection import Selection, project
from service.query.scan import statements
from service.query.scan.cold import columns_of
from service.query.scan.ranges import FAR_FUTURE, FAR_PAST, ScanRange
from service.storage.cold.columns import CallsAt
from service.storage.connection import Connection, one_row
from service.storage.ids import from_milliseconds
from service.storage.statements.changes import ID_BYTES, ChangeKind

SCANNED_MAX: Final = 5_000
"""Changes that one page looks at; one that a filter leaves empty says how to go on."""
_FILTERED_AT_ONCE: Final = 500
_WIDTH: Final = 1_000
_GROWTH: Final = 8

_HEAD: Final = """
    SELECT
        head.position, ARRAY(SELECT first FROM change_epoch ORDER BY first) AS firsts,
        ARRAY(SELECT token::text FROM change_epoch ORDER BY first) AS tokens,
        (SELECT coalesce(max(position), 0) FROM change_floor WHERE tier = ANY ($1::smallint[])) AS floor
    FROM change_head AS head
"""
"""The newest position, the epochs, and up to where changes of these tiers were purged."""
_OF_ONE: Final = "account_id = $1::integer AND"
_OF_SOME: Final = "account_id = ANY ($1::integer[]) AND"
_OF_ALL: Final = "$1::integer IS NULL AND"
_ENTRIES: Final[LiteralString] = """
    SELECT account_id, tier, kind, position, recorded_at, ids FROM (
        SELECT *, sum(octet_length(ids) / 16) OVER (ORDER BY position) - octet_length(ids) / 16 AS before FROM (
            SELECT account_id, tier, kind, position, recorded_at, ids FROM call_change
            WHERE {accounts} position > $2 AND position <= $3 ORDER BY position LIMIT $4
        ) AS nearest
    ) AS counted
    WHERE before < $4 ORDER BY position
"""
"""Rows of the feed after a position, until they hold so many changes."""
_ENTRIES_BY: Final = {which: _ENTRIES.format(accounts=which) for which in (_OF_ONE, _OF_SOME, _OF_ALL)}


class FeedEntry(NamedTuple):
    """One change: of which call, what happened, and its place."""

    account_id: int
    tier: int
    kind: ChangeKind
    id: bytes
    position: int
    recorded_at: datetime

    @property
    def key(self) -> tuple[int, str]:
        """Account id and UUID, as rows have them."""
        return self.account_id, str(UUID(bytes=self.id))

    @property
    def started_at(self) -> datetime:
        """The start of the call, which its id begins with."""
        return from_milliseconds(int.from_bytes(self.id[:6], "big"))


class RecordedChange(NamedTuple):
    """One change with the row of its call, as it is now."""

    entry: FeedEntry
    row: Row


class ChangesRequest(NamedTuple):
    """The part of the feed that is asked for. `kinds`: None for every kind; `until`: a cursor, to end there."""

    predicate: Predicate = EVERYTHING
    size: int = PAGE_DEFAULT
    after: str | None = None
    kinds: frozenset[ChangeKind] | None = None
    until: str | None = None


class Feed(NamedTuple):
    """The feed at one moment: its newest position, its epochs, and up to where it was purged for these readers."""

    head: int
    firsts: Sequence[int]
    tokens: Sequence[str]
    floor: int

    def token(self, position: int) -> str:
        """The epoch of a position; an empty text before the first."""
        at = bisect_right(self.firsts, position)
        return self.tokens[at - 1] if at else ""


class ChangesPage(NamedTuple):
    """Changes in their order, and how to go on.

    `end`: the position up to which the feed was read; `unreadable`: how many changes up to there are of calls that are
    past their window or erased, None where a filter leaves out others.
    """

    changes: Sequence[RecordedChange]
    has_next: bool
    end: int
    unreadable: int | None
    feed: Feed
    cursors: Cursors
    binding: bytes

    @property
    def rows(self) -> list[Row]:
        """The calls of the page, oldest change first."""
        return [change.row for change in self.changes]

    def cursor(self, position: int) -> str:
        """The cursor behind a position."""
        return self.cursors.seal((position, self.feed.token(position)), self.binding)


async def read_changes(
    connection: Connection, reading: ListRead, request: ChangesRequest, selection: Selection, cursors: Cursors
) -> ChangesPage:
    """The changes behind `request.after`, or from the oldest that can be read.

    Raises CursorExpiredError when there were changes behind the cursor that can no longer be read, or when the cursor
    is of another history; CursorError for one of another list.
    """
    feed = await _feed(connection, reading)
    start = 0 if request.after is None else _opened(request.after, cursors, reading, feed)
    end = feed.head if request.until is None else max(start, _opened(request.until, cursors, reading, feed))
    walk = _FeedWalk(connection, reading, request, selection, feed, (start, end))
    await walk.run()
    changes, more = walk.found[: request.size], len(walk.found) > request.size
    end = changes[-1].entry.position if more else walk.reached
    missing = None
    if reading.predicate is EVERYTHING and request.kinds is None and _is_unbounded(reading):
        missing = sum(position <= end for position in walk.missing)
    return ChangesPage(changes, more or not walk.ended, end, missing, feed, cursors, reading.binding)


async def newest_cursor(connection: Connection, reading: ListRead, cursors: Cursors) -> str:
    """The cursor behind the newest change."""
    feed = await _feed(connection, reading)
    return cursors.seal((feed.head, feed.token(feed.head)), reading.binding)


async def _feed(connection: Connection, reading: ListRead) -> Feed:
    tiers = sorted({scan_range.tier for scan_range in reading.scan_ranges})
    row = await one_row(connection, _HEAD, tiers)
    return Feed(row["position"], row["firsts"], row["tokens"], row["floor"])


def _opened(after: str, cursors: Cursors, reading: ListRead, feed: Feed) -> int:
    position, token = _position(cursors.open(after, reading.binding))
    if position > feed.head or token != feed.token(position):
        raise CursorExpiredError(
            "the cursor is of changes that this ledger no longer has: it was restored to an earlier state; compare "
            "what you have with `changes` from its beginning"
        )
    if position < feed.floor:
        raise CursorExpiredError(PURGED)
    return position


PURGED: Final = (
    "changes behind this cursor are past their window and gone: begin without `after`, and take what is missing from "
    "`costs`"
)


def _position(position: Sequence[object]) -> tuple[int, str]:
    match position:
        case (int() as number, str() as token):
            return number, token
        case _:
            raise CursorError


def _is_unbounded(reading: ListRead) -> bool:
    return reading.time_range.start in (None, FAR_PAST) and reading.time_range.end in (None, FAR_FUTURE)


class _FeedWalk:
    """One walk along the feed. `reached`: the position up to which it has looked; `ended`: there is nothing behind."""

    def __init__(
        self,
        connection: Connection,
        reading: ListRead,
        request: ChangesRequest,
        selection: Selection,
        feed: Feed,
        between: tuple[int, int],
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._request = request
        self._selection = selection
        self._feed = feed
        self._ranges = {scan_range.tier: scan_range for scan_range in reading.scan_ranges}
        self.found: list[RecordedChange] = []
        self.missing: list[int] = []
        self.reached, self._end = between
        self.ended = False

    async def run(self) -> None:
        """Look until there is one more change than the page holds, the feed ends, or enough was looked at."""
        everything = self._reading.predicate is EVERYTHING
        wanted = self._request.size + 1 if everything else max(self._request.size + 1, _FILTERED_AT_ONCE)
        lower, width, looked = self.reached, _WIDTH, 0
        one = self._reading.account_ids is not None and len(self._reading.account_ids) == 1
        while len(self.found) <= self._request.size and looked < SCANNED_MAX:
            # Rows of one account come out of an index in order; of several, a range of the feed is read and sorted.
            upper = self._feed.head if one else min(lower + width, self._feed.head)
            rows: Sequence[Row] = []
            if self._ranges and lower < upper:
                rows = await self._entries(lower, upper, wanted)
            entries = [entry for row in rows for entry in _unpacked(row, self.reached, wanted)]
            passed = bool(entries) and entries[-1].position >= self._end
            if passed:  # a row may hold changes of both sides of the end
                entries = [entry for entry in entries if entry.position <= self._end]
            if entries:
                await self._look_up(entries)
                looked += len(entries)
                lower = self.reached = entries[-1].position
            nothing_more = sum(len(row["ids"]) for row in rows) < wanted * ID_BYTES and upper >= self._feed.head
            if passed or nothing_more or lower >= self._end:
                self.ended, self.reached = True, self._end
                return
            if not rows:
                lower, width = upper, width * _GROWTH

    async def _entries(self, lower: int, upper: int, wanted: int) -> Sequence[Row]:
        """Rows of the feed after `lower`, until they hold so many changes."""
        accounts = self._reading.account_ids
        if accounts is None:
            which, bound = _OF_ALL, None
        else:
            which, bound = (_OF_ONE, accounts[0]) if len(accounts) == 1 else (_OF_SOME, list(accounts))
        return await self._connection.fetch(_ENTRIES_BY[which], bound, lower, upper, wanted)

    async def _look_up(self, entries: Sequence[FeedEntry]) -> None:
        """Add the changes whose calls are readable and fit the filter."""
        readable: dict[int, list[FeedEntry]] = {}
        for entry in entries:
            scan_range = self._ranges.get(entry.tier)
            if scan_range is None:
                continue
            if entry.recorded_at >= scan_range.cutoff:
                readable.setdefault(entry.tier, []).append(entry)
            elif self._request.after is not None:
                raise CursorExpiredError(PURGED)
        rows: dict[tuple[int, str], Row] = {}
        for tier, of_tier in readable.items():
            rows |= await self._rows(self._ranges[tier], of_tier)
        for entry in entries:
            row = rows.get(entry.key)
            if row is None:
                self.missing.append(entry.position)
            elif self._request.kinds is None or entry.kind in self._request.kinds:
                self.found.append(RecordedChange(entry, row))

    async def _rows(self, scan_range: ScanRange, entries: Sequence[FeedEntry]) -> Mapping[tuple[int, str], Row]:
        """The calls of some entries of one tier, by their keys."""
        reading, params = self._reading, Params()
        keys = {entry.key: entry.started_at for entry in entries}
        moments = keys.values()
        start = max(reading.time_range.start or FAR_PAST, scan_range.cutoff, min(moments))
        columns = project(CALLS, self._selection, self._selection, reading.scope, params, scan_range).columns
        conditions = [
            f"tier = {params.bind(scan_range.tier, 'smallint')}",
            f"started_at >= {params.bind(start, 'timestamptz')}",
            f"started_at <= {params.bind(max(moments), 'timestamptz')}",
            f"started_at < {params.bind(reading.time_range.end or FAR_FUTURE, 'timestamptz')}",
        ]
        if reading.predicate is not EVERYTHING:
            conditions.append(f"({reading.condition(params)(scan_range)})")
        wanted: tuple[tuple[Any, ...], ...] = (
            tuple(account for account, _ in keys),
            tuple(moments),
            tuple(id_ for _, id_ in keys),
        )
        arrays = [
            params.bind(values, f"{type_}[]")
            for values, type_ in zip(wanted, ("integer", "timestamptz", "uuid"), strict=True)
        ]
        selected = {**columns, "account_id": "account_id", "tier": "tier", "started_at": "started_at", "id": "id"}
        listed, where = ", ".join(f"{text} AS {name}" for name, text in selected.items()), " AND ".join(conditions)
        given = None
        if reading.cold is not None:
            calls = CallsAt(set(moments), {id_ for _, id_ in keys})
            accounts = {account for account, _ in keys}
            given = await reading.cold.calls(scan_range, accounts, calls, columns_of(f"{listed} {where}"))
        sql = " UNION ALL ".join(
            f"SELECT {listed} "  # noqa: S608 - our own text
            f"FROM unnest({', '.join(arrays)}) AS wanted (wanted_account, wanted_at, wanted_id) "
            f"JOIN {source} ON account_id = wanted_account AND started_at = wanted_at AND id = wanted_id WHERE {where}"
            for source in statements.sources("call", params, given)
        )
        return {(row["account_id"], row["id"]): row for row in await self._connection.fetch(sql, *params.values)}


def _unpacked(row: Row, after: int, most: int) -> list[FeedEntry]:
    """The changes of one row of the feed behind a position, at most so many."""
    ids: bytes = row["ids"]
    first = row["position"] - len(ids) // ID_BYTES + 1
    account, tier, kind, recorded_at = row["account_id"], row["tier"], ChangeKind(row["kind"]), row["recorded_at"]
    return [
        FeedEntry(account, tier, kind, ids[at : at + ID_BYTES], first + at // ID_BYTES, recorded_at)
        for at in [*range(max(after - first + 1, 0) * ID_BYTES, len(ids), ID_BYTES)][:most]
    ]
