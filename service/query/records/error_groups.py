"""Errors of one fingerprint as one row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.policy.model import View
from service.query.buckets.bucket_edges import Edges
from service.query.buckets.edges_sql import bounds
from service.query.buckets.time_buckets import TimeBucket, edges
from service.query.model.errors import BadInputError
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, Predicate
from service.query.records.ordering import Cursors, Position, from_microseconds, microseconds
from service.query.records.page import PAGE_DEFAULT, ListRead, Row
from service.query.records.projection import Selection
from service.query.scan import statements
from service.storage.connection import Connection

MODELS_MAX: Final = 100
COUNTS_MAX: Final = 20_000
"""Groups of a page times buckets: how many counts an answer may hold."""
_AHEAD: Final = timedelta(days=2)
"""How far ahead of now an error can lie, by a wrong clock, and more."""
_COLUMNS: Final = {
    "type": "min(error_type) AS type",
    "count": "count(*) AS count",
    "firstSeen": "min(occurred_at) AS first_seen",
    "lastSeen": "max(occurred_at) AS last_seen",
    "models": f"(array_agg(DISTINCT model))[1:{MODELS_MAX}] AS models",
}
_ORDERS: Final = {
    "COUNT": ("count", "count(*)"),
    "LAST_SEEN": ("last_seen", "max(occurred_at)"),
    "FIRST_SEEN": ("first_seen", "min(occurred_at)"),
}
_NEEDED: Final = "fingerprint, occurred_at, error_type, model"
_SAMPLES: Final = (
    "SELECT DISTINCT ON (fingerprint) fingerprint, account_id, tier, occurred_at, id, sealed FROM ({hits}) AS hits "
    "ORDER BY fingerprint, occurred_at DESC, id DESC"
)
"""The newest error of each group, as its sample."""
_COUNTS: Final = (
    "SELECT fingerprint, bucket, count(*) AS count FROM "
    "(SELECT fingerprint, width_bucket(occurred_at, {edges}) AS bucket FROM ({hits}) AS hits) AS placed "
    "GROUP BY fingerprint, bucket ORDER BY fingerprint, bucket"
)
"""How many errors each group has in each bucket of time."""
_GROUPS: Final = (
    "SELECT * FROM (SELECT fingerprint, {key} AS order_0{columns} FROM ({hits}) AS hits GROUP BY fingerprint) AS found "
    "WHERE {past} ORDER BY order_0 {direction}, fingerprint {direction} LIMIT {limit}"
)
"""A page of groups of errors, ordered and filtered."""


@dataclass(frozen=True, slots=True)
class GroupsRequest:
    """A page of groups as asked for; `order` is COUNT, LAST_SEEN or FIRST_SEEN. `bucket`: each is counted by time
    too, of the zone `zone`.
    """

    predicate: Predicate = EVERYTHING
    order: str = "LAST_SEEN"
    descending: bool = True
    size: int = PAGE_DEFAULT
    after: str | None = None
    bucket: TimeBucket | None = None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class BucketCount:
    """How many errors there are from `start` on and before `end`."""

    start: datetime
    end: datetime
    count: int


@dataclass(frozen=True, slots=True)
class GroupsPage:
    """Groups in the asked order; `samples` holds the newest row of each that is shown, by fingerprint, and `buckets`
    its counts, oldest first and none that is zero (None: not asked for).
    """

    rows: Sequence[Row]
    samples: Mapping[int, Row]
    has_next: bool
    has_previous: bool
    total: int | None
    cursors: Cursors
    binding: bytes
    buckets: Mapping[int, Sequence[BucketCount]] | None = None

    def cursor(self, row: Row) -> str:
        """The cursor of `row` in this order."""
        key = row["order_0"]
        value = key if isinstance(key, int) else microseconds(key)
        return self.cursors.seal((value, row["fingerprint"]), self.binding)


async def read_groups(
    connection: Connection,
    reading: ListRead,
    request: GroupsRequest,
    selection: Selection,
    cursors: Cursors,
    *,
    total: bool,
) -> GroupsPage:
    """One page of groups. Raises BadInputError for a cursor that does not fit."""
    cuts = _cuts(reading, request)
    after = cursors.open(request.after, reading.binding) if request.after is not None else None
    rows: Sequence[Row] = []
    if reading.scan_ranges:
        rows = await _fetch(connection, reading, request, selection, after, request.size + 1)
    shown = rows[: request.size]
    samples = await _samples(connection, reading, shown) if "sampleMessage" in selection and shown else {}
    return GroupsPage(
        shown,
        samples,
        len(rows) > request.size,
        after is not None and bool(reading.scan_ranges) and await _any_before(connection, reading, request, after),
        await _count(connection, reading) if total else None,
        cursors,
        reading.binding,
        await _buckets(connection, reading, shown, cuts) if "buckets" in selection and request.bucket else None,
    )


def _cuts(reading: ListRead, request: GroupsRequest) -> Edges | None:
    """The edges of the buckets over the time that is asked for, as far as errors are kept. Raises BadInputError."""
    if request.bucket is None or not reading.scan_ranges:
        return None
    start = min(scan_range.cutoff for scan_range in reading.scan_ranges)
    start = max(start, reading.time_range.start or start)
    end = min(reading.time_range.end or datetime.max.replace(tzinfo=UTC), reading.now + _AHEAD)
    if start >= end:
        return None
    cuts = edges(request.bucket, request.zone, start, end)
    if (len(cuts) - 1) * request.size > COUNTS_MAX:
        raise BadInputError(
            f"groups times buckets are more than {COUNTS_MAX}: narrow `occurredAt`, take a wider `bucket`, or a "
            "smaller `first`"
        )
    return cuts


async def _buckets(
    connection: Connection, reading: ListRead, rows: Sequence[Row], cuts: Edges | None
) -> dict[int, list[BucketCount]]:
    if not rows or cuts is None:
        return {}
    params = Params()
    hits = _hits(reading, "fingerprint, occurred_at", params, _of(rows, params))
    sql = _COUNTS.format(edges=bounds(cuts, params), hits=hits)
    found: dict[int, list[BucketCount]] = defaultdict(list)
    for row in await connection.fetch(sql, *params.values):
        position: int = row["bucket"]
        if 0 < position < len(cuts):
            found[row["fingerprint"]].append(BucketCount(cuts[position - 1], cuts[position], row["count"]))
    return found


def _of(rows: Sequence[Row], params: Params) -> str:
    """The condition that an error is of one of these groups."""
    return f"fingerprint = ANY ({params.bind(tuple(row['fingerprint'] for row in rows), 'bigint[]')})"


async def _fetch(
    connection: Connection,
    reading: ListRead,
    request: GroupsRequest,
    selection: Selection,
    after: Position | None,
    limit: int,
) -> Sequence[Row]:
    params = Params()
    hits = _hits(reading, _NEEDED, params)
    past = _past(request, after, "<" if request.descending else ">", params) if after else "true"
    columns = [column for name, column in _COLUMNS.items() if name in selection and _shown(reading, name)]
    sql = _GROUPS.format(
        key=_ORDERS[request.order][1],
        columns="".join(f", {column}" for column in columns),
        hits=hits,
        past=past,
        direction="DESC" if request.descending else "ASC",
        limit=params.bind(limit, "bigint"),
    )
    return await connection.fetch(sql, *params.values)


def _shown(reading: ListRead, field: str) -> bool:
    return reading.scope.views.get(f"ErrorGroup.{field}", View.DENIED) is View.SEE


async def _any_before(connection: Connection, reading: ListRead, request: GroupsRequest, after: Position) -> bool:
    params = Params()
    hits = _hits(reading, _NEEDED, params)
    past = _past(request, after, ">=" if request.descending else "<=", params)
    sql = _GROUPS.format(
        key=_ORDERS[request.order][1], columns="", hits=hits, past=past, direction="ASC", limit=params.bind(1, "bigint")
    )
    return bool(await connection.fetch(sql, *params.values))


def _past(request: GroupsRequest, after: Position, operator: str, params: Params) -> str:
    key, fingerprint = after
    if request.order == "COUNT":
        value = params.bind(key, "bigint")
    else:
        assert isinstance(key, int)
        value = params.bind(from_microseconds(key), "timestamptz")
    return f"(order_0, fingerprint) {operator} ({value}, {params.bind(fingerprint, 'bigint')})"


async def _samples(connection: Connection, reading: ListRead, rows: Sequence[Row]) -> dict[int, Row]:
    params = Params()
    chosen = _of(rows, params)
    select = "fingerprint, account_id, tier, occurred_at, id, sealed"
    hits = _hits(reading, select, params, chosen)
    found = await connection.fetch(_SAMPLES.format(hits=hits), *params.values)
    return {row["fingerprint"]: row for row in found}


async def _count(connection: Connection, reading: ListRead) -> int:
    """How many groups of errors there are."""
    if not reading.scan_ranges:
        return 0
    params = Params()
    hits = _hits(reading, "fingerprint", params)
    return await connection.fetchval(f"SELECT count(DISTINCT fingerprint) FROM ({hits}) AS hits", *params.values)  # noqa: S608


def _hits(reading: ListRead, select: str, params: Params, chosen: str | None = None) -> str:
    conditions = [reading.condition(params)]
    if chosen:
        conditions.append(lambda _: chosen)
    return statements.union(reading.table, reading.scan_ranges, reading.time_range, select, conditions, params)
