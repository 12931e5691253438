"""Costs: calls, tokens, money and latency, grouped. Never undercounted: what is gone is refused or said."""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import asyncpg

from policies import pseudonym
from policies.policy.model import Store
from service.offload import Paced
from service.query.buckets.bucket_edges import Edges
from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.parameters import Params
from service.query.model.predicate import fields_of
from service.query.records.ordering import Cursors
from service.query.scan import tag_tables
from service.query.usage.percentiles import histogram_of
from service.query.usage.report_request import NEEDS, CostRequest, check_request
from service.query.usage.report_sql import (
    BEFORE,
    COUNT,
    DIMENSIONS,
    FILLED_MAX,
    GROUPS,
    LACKING,
    ROW,
    TOTAL,
    WHOLE,
    CostStatement,
    alias_of,
    grouping,
)
from service.query.usage.row_order import RowOrder
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import FIRST_TOKEN, MILLISECONDS, UsageRead

_CURSORS_AT_ONCE: Final = 500
_ONLY_SUMS: Final = (
    "corrections by their own time are in the sums alone: begin and end `startedAt` at quarter hours, and filter and "
    "group by nothing but account, API key, model, provider, status and currency"
)


class CostSource(StrEnum):
    """What figures rest on."""

    ROLLUPS = "ROLLUPS"
    CALLS = "CALLS"
    BOTH = "BOTH"


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What a row is grouped by. Absent dimensions are None, as are values that were not reported."""

    values: Mapping[str, str | None]
    tags: Mapping[str, str | None] | None
    bucket_start: datetime | None
    bucket_end: datetime | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums of one currency (None: of calls without one), by the aliases of `report_sql.SUMS`, as far as asked for;
    `histograms` of MILLISECONDS: bins and how many calls each holds, none that is empty.
    """

    currency: str | None
    sums: Mapping[str, Decimal]
    histograms: Mapping[str, tuple[Sequence[int], Sequence[int]]] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class CostRow:
    """One row of a cost report: its group, and the figures of it."""

    key: GroupKey
    figures: Figures


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every call that matches and started in [start, end) is in the figures. None: the report covers no time."""

    start: datetime | None
    end: datetime
    source: CostSource


@dataclass(frozen=True, slots=True)
class CostRecords:
    """A page of a report as the database answers it. `edges` of the buckets; `names`: account names by id; `cursors`:
    in step with the rows, where they are wanted.
    """

    rows: Sequence[asyncpg.Record]
    totals: Sequence[asyncpg.Record]
    edges: Edges | None
    names: Mapping[int, str]
    coverage: Coverage
    has_next: bool
    has_previous: bool
    count: int
    cursors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Costs:
    """A page of a cost report: rows in the asked order, totals of all rows, what they cover, and how to go on."""

    rows: Sequence[CostRow]
    totals: Sequence[Figures]
    coverage: Coverage
    has_next: bool
    has_previous: bool
    count: int
    cursors: Sequence[str] = ()


async def read_costs(reader: UsageReader, request: CostRequest) -> Costs:
    """Answer one request. Raises as `read_records` does."""
    found = await read_records(reader, request)
    return Costs(
        [CostRow(_key(record, request, found), _figures(record)) async for record in Paced(found.rows)],
        [_figures(record) for record in found.totals],
        found.coverage,
        found.has_next,
        found.has_previous,
        found.count,
        found.cursors,
    )


async def read_records(reader: UsageReader, request: CostRequest) -> CostRecords:
    """Answer one request with what the statement's columns hold (see `CostStatement.sql`).

    Raises BadInputError, CursorError for a cursor of another report, ForbiddenError for what the role may not group or
    order by, OutOfRetentionError when the figures would need what is gone, QueryTimeoutError.
    """
    binding, reading = _binding(reader, request), await reading_of(reader, request)
    statement, records = await _answer(reader, request, replace(reading, lacking=reader.unsummed))
    if any(int(record["calls"]) for record in records if record["kind"] == LACKING):
        statement, records = await _answer(reader, request, reading)
    if any(not int(record["calls"]) for record in records if record["kind"] == WHOLE):
        reading = await reading_of(reader, request, tag_sums=False)
        statement, records = await _answer(reader, request, reading)
    if any(int(record["calls"]) * statement.filled > FILLED_MAX for record in records if record["kind"] == GROUPS):
        raise BadInputError(
            f"filled buckets would be more than {FILLED_MAX} rows: narrow `startedAt`, take a wider `bucket`, or group "
            "by less"
        )
    found = {kind: [record for record in records if record["kind"] == kind] for kind in (ROW, TOTAL, COUNT, BEFORE)}
    rows = found[ROW][: request.first]
    return replace(
        await records_of(reader, request, reading, rows),
        totals=found[TOTAL],
        has_next=len(found[ROW]) > request.first,
        has_previous=any(int(record["calls"]) for record in found[BEFORE]),
        count=sum(int(record["calls"]) for record in found[COUNT]),
        cursors=await _cursors(reader, rows, statement.order, binding) if request.cursors else (),
    )


async def _answer(
    reader: UsageReader, request: CostRequest, reading: UsageRead
) -> tuple[CostStatement, list[asyncpg.Record]]:
    params = Params()
    statement = statement_of(reader, request, reading, params, request.first + 1)
    return statement, await _fetch(reader, statement, reading, params) if reading.plan.segments else []


async def reading_of(reader: UsageReader, request: CostRequest, *, tag_sums: bool = True) -> UsageRead:
    """What is read for the request, once it may be asked. `tag_sums`: sums by tag may answer."""
    check_request(reader, request)
    sums = (*(_sums(request.row_figures) or ()), *(_sums(request.total_figures) or ()))
    rollups = not request.tags and all(DIMENSIONS[name].rollup is not None for name in request.dimensions)
    reading = await reader.reading(
        request.predicate,
        rollups=rollups and FIRST_TOKEN not in sums,
        users="USER" in request.dimensions,
        bucket=request.bucket,
        zone=request.zone,
        corrections_moved=request.corrections_moved,
        by_tag=request.tags if tag_sums and _summed_by_tag(request, sums) else None,
    )
    if request.corrections_moved and Store.CALL in reading.plan.stores():
        raise BadInputError(_ONLY_SUMS)
    return reading


def _summed_by_tag(request: CostRequest, sums: Collection[str]) -> bool:
    """Whether sums by tag have what is asked for, if they are of the tag."""
    return (
        tag_tables.DIMENSIONS.issuperset(request.dimensions)
        and FIRST_TOKEN not in sums
        and not request.corrections_moved
    )


def statement_of(
    reader: UsageReader, request: CostRequest, reading: UsageRead, params: Params, limit: int | None
) -> CostStatement:
    """What the request wants of `reading`, of at most `limit` rows (None: of all). Raises CursorError."""
    keys = grouping(request.dimensions, request.tags, reading, params)
    terms, row_sums, total_sums = _order(request), _sums(request.row_figures), _sums(request.total_figures)
    return CostStatement(
        keys,
        row_sums,
        total_sums,
        terms,
        RowOrder(terms, list(keys.columns), keys.texts, reading.plan.edges),
        limit,
        None if request.after is None else reader.cursors.open(request.after, _binding(reader, request)),
        request.cursors,
        request.counted,
        request.before,
        _buckets(reading, reader.now) if request.fill else 0,
        money_alone=request.corrections_moved or "isCorrection" in fields_of(request.predicate),
    )


async def records_of(
    reader: UsageReader, request: CostRequest, reading: UsageRead, rows: Sequence[asyncpg.Record]
) -> CostRecords:
    """Rows with what they are shown by, and nothing of the page that they may be."""
    if "ACCOUNT" in request.dimensions:
        await reader.accounts.look_up(account_ids={record["account"] for record in rows})
    edges, names, coverage = reading.plan.edges, reader.accounts.names(), _coverage(reading, reader.now)
    return CostRecords(rows, (), edges, names, coverage, has_next=False, has_previous=False, count=0)


def _binding(reader: UsageReader, request: CostRequest) -> bytes:
    """What a cursor is tied to: who may see what, and everything that decides which rows there are, in which order."""
    return Cursors.binding(
        "costs",
        reader.scope.accounts,
        request.predicate,
        tuple(request.dimensions),
        tuple(request.tags),
        request.bucket and request.bucket.value,
        request.zone,
        request.fill,
        tuple(request.order),
        request.corrections_moved,
    )


async def _cursors(
    reader: UsageReader, rows: Sequence[asyncpg.Record], order: RowOrder, binding: bytes
) -> Sequence[str]:
    """In parts, with turns for others between them: ten thousand take a tenth of a second."""
    cursors: list[str] = []
    for start in range(0, len(rows), _CURSORS_AT_ONCE):
        part = rows[start : start + _CURSORS_AT_ONCE]
        cursors += [reader.cursors.seal(order.position(record), binding) for record in part]
        await asyncio.sleep(0)
    return cursors


async def _fetch(
    reader: UsageReader, statement: CostStatement, reading: UsageRead, params: Params
) -> list[asyncpg.Record]:
    if statement.nothing:
        return []
    sql = statement.sql(reading, params)
    async with reader.database.reading(reader.scope.accounts, key_id=reader.scope.key_id) as connection:
        try:
            return await connection.fetch(sql, *params.values)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None


def _buckets(reading: UsageRead, now: datetime) -> int:
    """How many buckets have begun by the end of the range, or by now."""
    return bisect_left(reading.plan.edges or (), max(min(reading.plan.end, now), reading.plan.start))


def _sums(figures: frozenset[str] | None) -> frozenset[str] | None:
    return None if figures is None else frozenset(alias for figure in figures for alias in NEEDS[figure])


def _order(request: CostRequest) -> Sequence[tuple[str, bool]]:
    """As asked; else buckets in order of time, and inside them, or without them, the most calls first."""
    if request.order:
        return request.order
    return (("BUCKET_START", False), ("CALLS", True)) if request.bucket else (("CALLS", True),)


def _key(record: asyncpg.Record, request: CostRequest, found: CostRecords) -> GroupKey:
    values: dict[str, str | None] = {}
    for name in request.dimensions:
        value = record[alias_of(name)]
        if name == "ACCOUNT":
            values[name] = found.names.get(value)
        elif name == "STATUS":
            values[name] = "FAILED" if value else "SUCCEEDED"
        elif name == "USER":
            values[name] = user_of(value)
        else:
            values[name] = value or None
    tags = (
        {key: record[f"tag{position}"] or None for position, key in enumerate(request.tags)} if request.tags else None
    )
    position = record["bucket"] if found.edges is not None else 0
    start, end = (found.edges[position - 1], found.edges[position]) if found.edges else (None, None)
    return GroupKey(values, tags, start, end, record["currency"] or None)


def user_of(value: str) -> str | None:
    """The pseudonym of a token and its period; null without a token."""
    token, _, period = value.partition(" ")
    return pseudonym.outward(int(token), period) if token else None


def _figures(record: asyncpg.Record) -> Figures:
    fields: dict[str, Any] = dict(record)
    sums = {name: Decimal(fields[name]) for name in _ALL_SUMS if name in fields}
    histograms = {name: histogram_of(fields[name]) for name in MILLISECONDS if name in fields}
    return Figures(fields["currency"] or None, sums, histograms)


_ALL_SUMS: Final = frozenset({alias for aliases in NEEDS.values() for alias in aliases} - MILLISECONDS.keys())


def _coverage(reading: UsageRead, now: datetime) -> Coverage:
    plan = reading.plan
    stores = plan.stores()
    if Store.CALL not in stores:
        source = CostSource.ROLLUPS
    else:
        source = CostSource.CALLS if stores == frozenset((Store.CALL,)) else CostSource.BOTH
    return Coverage(plan.start, max(min(plan.end, now), plan.start), source)
