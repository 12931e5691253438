"""Costs: calls, tokens, money and latency, grouped. Never undercounted: what is gone is refused or said."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import asyncpg

from policies.policy.model import Store
from service.query.filters.to_sql import single_currency
from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, Predicate, fields_of
from service.query.usage.bucket_edges import Edges
from service.query.usage.percentiles import histogram_of
from service.query.usage.report_sql import DIMENSIONS, LATENCY, ORDERS, ROW, CostStatement, grouping
from service.query.usage.source import UsageReader
from service.query.usage.time_buckets import TimeBucket
from service.query.usage.union_sql import UsageRead

FIRST_DEFAULT: Final = 1_000
FIRST_MAX: Final = 10_000
TAGS_MAX: Final = 5
_STREAM_TIMEOUT: Final = "SET LOCAL statement_timeout = '120s'"
"""A report that is written to a file may take longer to begin than one that somebody waits for."""

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "calls": ("calls",),
    "errors": ("errors",),
    "inputTokens": ("input_tokens",),
    "outputTokens": ("output_tokens",),
    "cacheReadTokens": ("cache_read_tokens",),
    "cacheWriteTokens": ("cache_write_tokens",),
    "reasoningTokens": ("reasoning_tokens",),
    "amount": ("amount", "priced"),
    "tokenEfficiency": ("input_tokens", "output_tokens"),
    "averageCost": ("amount", "priced"),
    "costPerThousandOutputTokens": ("amount", "priced", "output_tokens"),
    "latencyMs": (LATENCY,),
    "wastedOnFailures": ("wasted", "priced"),
    "estimatedShare": ("estimated", "amount", "priced"),
    "callsWithoutAmount": ("calls", "priced"),
}
"""Figure of the schema -> the sums that it is worked out from."""

GROUPED_BY: Final = {
    "MODEL": "Call.model",
    "PROVIDER": "Call.provider",
    "ACCOUNT": "Call.account",
    "API_KEY": "Call.apiKey",
    "STATUS": "Call.status",
    "OPERATION": "Call.operation",
    "SERVED_MODEL": "Call.servedModel",
}
ORDERED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "AMOUNT": ("Call.amount", "Amount.amount"),
    "CALLS": (),
    "ERRORS": ("Call.status",),
    "TOTAL_TOKENS": ("Call.totalTokens",),
    "BUCKET_START": ("Call.startedAt",),
}


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
class CostRequest:
    """Names are GraphQL's. `row_figures` and `total_figures`: what of rows and totals is asked for; None: nothing.

    `order` is (field, descending). `corrections_moved`: corrections count when they were made. Only what is asked for
    is worked out.
    """

    predicate: Predicate = EVERYTHING
    dimensions: Sequence[str] = ()
    tags: Sequence[str] = ()
    bucket: TimeBucket | None = None
    zone: str = "UTC"
    order: Sequence[tuple[str, bool]] = ()
    first: int = FIRST_DEFAULT
    row_figures: frozenset[str] | None = frozenset()
    total_figures: frozenset[str] | None = None
    corrections_moved: bool = False


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
    """Sums of one currency (None: of calls without one), by the aliases of `cost_sql.SUMS`, as far as asked for."""

    currency: str | None
    sums: Mapping[str, Decimal]
    bins: Sequence[int] = ()
    entries: Sequence[int] = ()


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
    """A report as the database answers it. `edges` of the buckets; `names`: account names by id."""

    rows: Sequence[asyncpg.Record]
    totals: Sequence[asyncpg.Record]
    edges: Edges | None
    names: Mapping[int, str]
    coverage: Coverage
    truncated: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost report: rows in the asked order, totals, and what they cover. `truncated`: there are more rows."""

    rows: Sequence[CostRow]
    totals: Sequence[Figures]
    coverage: Coverage
    truncated: bool


async def read_costs(reader: UsageReader, request: CostRequest) -> Costs:
    """Answer one request. Raises as `read_records` does."""
    found = await read_records(reader, request)
    return Costs(
        [CostRow(_key(record, request, found), _figures(record)) for record in found.rows],
        [_figures(record) for record in found.totals],
        found.coverage,
        found.truncated,
    )


async def read_records(reader: UsageReader, request: CostRequest) -> CostRecords:
    """Answer one request with what the statement's columns hold (see `CostStatement.sql`).

    Raises BadInputError, ForbiddenError for what the role may not group or order by, OutOfRetentionError when the
    figures would need what is gone, QueryTimeoutError.
    """
    reading = await _reading(reader, request)
    records = await _fetch(reader, request, reading) if reading.plan.segments else []
    rows = [record for record in records if record["kind"] == ROW]
    totals = [record for record in records if record["kind"] != ROW]
    truncated = len(rows) > request.first
    return await _records(reader, request, reading, rows[: request.first], totals, truncated=truncated)


async def stream_records(reader: UsageReader, request: CostRequest, size: int) -> AsyncIterator[CostRecords]:
    """All rows of one request, without totals, `size` at a time and as of one moment; `first` limits nothing.

    The rows wait in a cursor of the database. Raises as `read_records` does, before the first rows.
    """
    reading = await _reading(reader, request)
    if not reading.plan.segments:
        return
    sql, params = _statement(request, reading, None, totals=False)
    async with reader.database.reading(reader.scope.accounts) as connection:
        try:
            async with connection.transaction(readonly=True):
                await connection.execute(_STREAM_TIMEOUT)
                cursor = await connection.cursor(sql, *params.values)
                while rows := await cursor.fetch(size):
                    yield await _records(reader, request, reading, rows, (), truncated=False)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None


async def _reading(reader: UsageReader, request: CostRequest) -> UsageRead:
    """What is read for the request, once it may be asked."""
    _check(reader, request)
    rollups = not request.tags and all(DIMENSIONS[name].rollup is not None for name in request.dimensions)
    reading = await reader.reading(
        request.predicate,
        rollups=rollups,
        bucket=request.bucket,
        zone=request.zone,
        corrections_moved=request.corrections_moved,
    )
    if request.corrections_moved and Store.CALL in reading.plan.stores():
        raise BadInputError(_ONLY_SUMS)
    return reading


async def _records(
    reader: UsageReader,
    request: CostRequest,
    reading: UsageRead,
    rows: Sequence[asyncpg.Record],
    totals: Sequence[asyncpg.Record],
    *,
    truncated: bool,
) -> CostRecords:
    if "ACCOUNT" in request.dimensions:
        await reader.accounts.look_up(account_ids={record["account"] for record in rows})
    coverage = _coverage(reading, reader.now)
    return CostRecords(rows, totals, reading.plan.edges, reader.accounts.names(), coverage, truncated)


def _check(reader: UsageReader, request: CostRequest) -> None:
    if not 1 <= request.first <= FIRST_MAX:
        raise BadInputError(f"`first` is 1 to {FIRST_MAX}")
    for name, given in (("groupBy", request.dimensions), ("groupByTags", request.tags)):
        if len(set(given)) != len(given):
            raise BadInputError(f"`{name}` names something twice")
    _check_order(request)
    _check_tags(reader, request.tags)
    grouped = [GROUPED_BY[name] for name in request.dimensions]
    grouped += ["Call.tags", "Tag.key", "Tag.value"] if request.tags else []
    grouped += ["Call.startedAt"] if request.bucket else []
    reader.refuse_unseen([*grouped, *(field for name, _ in request.order for field in ORDERED_BY[name])])


def _check_order(request: CostRequest) -> None:
    fields = [field for field, _ in request.order]
    if len(set(fields)) != len(fields):
        raise BadInputError("`orderBy` names a field twice")
    if "AMOUNT" in fields and single_currency(request.predicate) is None:
        raise BadInputError("an order by `AMOUNT` compares within one currency: add `currency: {eq: ...}`")
    if "BUCKET_START" in fields and request.bucket is None:
        raise BadInputError("an order by `BUCKET_START` needs `bucket`")


def _check_tags(reader: UsageReader, tags: Sequence[str]) -> None:
    if len(tags) > TAGS_MAX:
        raise BadInputError(f"`groupByTags` takes at most {TAGS_MAX} keys")
    for key in tags:
        if key not in reader.scope.policy.tag_dimensions:
            allowed = ", ".join(f"`{name}`" for name in sorted(reader.scope.policy.tag_dimensions)) or "none"
            raise BadInputError(f"`{key[:60]}` is not a tag that the policy allows to group by; it allows {allowed}")


async def _fetch(reader: UsageReader, request: CostRequest, reading: UsageRead) -> list[asyncpg.Record]:
    if request.row_figures is None and request.total_figures is None:
        return []
    sql, params = _statement(request, reading, request.first + 1, totals=True)
    async with reader.database.reading(reader.scope.accounts) as connection:
        try:
            return await connection.fetch(sql, *params.values)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None


def _statement(request: CostRequest, reading: UsageRead, limit: int | None, *, totals: bool) -> tuple[str, Params]:
    params = Params()
    statement = CostStatement(
        grouping(request.dimensions, request.tags, reading.plan.edges, params),
        _sums(request.row_figures),
        _sums(request.total_figures) if totals else None,
        _order(request),
        limit,
        money_alone=request.corrections_moved or "isCorrection" in fields_of(request.predicate),
    )
    return statement.sql(reading, params), params


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
        value = record[name.lower()]
        if name == "ACCOUNT":
            values[name] = found.names.get(value)
        elif name == "STATUS":
            values[name] = "FAILED" if value else "SUCCEEDED"
        else:
            values[name] = value or None
    tags = (
        {key: record[f"tag{position}"] or None for position, key in enumerate(request.tags)} if request.tags else None
    )
    position = record["bucket"] if found.edges is not None else 0
    start, end = (found.edges[position - 1], found.edges[position]) if found.edges else (None, None)
    return GroupKey(values, tags, start, end, record["currency"] or None)


def _figures(record: asyncpg.Record) -> Figures:
    fields: dict[str, Any] = dict(record)
    sums = {name: Decimal(fields[name]) for name in _ALL_SUMS if name in fields}
    return Figures(fields["currency"] or None, sums, *histogram_of(fields.get(LATENCY)))


_ALL_SUMS: Final = frozenset({alias for aliases in NEEDS.values() for alias in aliases} - {LATENCY})


def _coverage(reading: UsageRead, now: datetime) -> Coverage:
    plan = reading.plan
    stores = plan.stores()
    if Store.CALL not in stores:
        source = CostSource.ROLLUPS
    else:
        source = CostSource.CALLS if stores == frozenset((Store.CALL,)) else CostSource.BOTH
    return Coverage(plan.start, max(min(plan.end, now), plan.start), source)


assert set(ORDERED_BY) == set(ORDERS)
