"""What is asked of an export, as the schema has it, and as it is kept."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import strawberry

from service.api.calls.filters import written_filter
from service.api.exports.kinds import SHAPES, ExportGrouping, chosen_fields, shape_of
from service.api.exports.requests import ExportRequest
from service.api.types.declarations import UNSET, described, given, optional, value
from service.api.types.filter_inputs import CallFilter, ErrorFilter
from service.api.types.scalars import TimeZone
from service.api.usage.inputs import CorrectionTime, CostDimension, TimeBucket
from service.query.model.errors import BadInputError
from service.query.model.scope import Scope

_GROUPING: Final = ("group_by", "group_by_tags", "bucket", "time_zone", "corrections")


@strawberry.enum
class ExportFormat(Enum):
    """How rows are written."""

    CSV = value("CSV", "RFC 4180, UTF-8, with a header; texts that a spreadsheet would run begin with `'`.")
    NDJSON = value("NDJSON", "One JSON object per line, as GraphQL would answer it.")
    PARQUET = value(
        "PARQUET", "Apache Parquet, zstd: money as decimal128(38, 12), moments as timestamps in UTC. Needs pyarrow."
    )


@strawberry.enum
class ExportCompression(Enum):
    """How a file is compressed as a whole."""

    NONE = value("NONE", "Not at all; Parquet is compressed inside.")
    GZIP = value("GZIP", "RFC 1952; for CSV and NDJSON.")


@strawberry.enum
class ExportKind(Enum):
    """What is exported."""

    CALLS = value("CALLS", "One row per call.")
    ERRORS = value("ERRORS", "One row per failed call's error, inside its window, masked as for every reader.")
    COSTS = value("COSTS", "Sums as `costs` has them, in any grouping, without a limit on rows.")
    FOCUS = value(
        "FOCUS",
        "Charges by UTC day, account, model and token type, with the columns of FOCUS 1.2 (focus.finops.org); "
        "corrections by the month in which they were made. Calls without an amount are not in it.",
    )


@strawberry.input
class CreateExportInput:
    """Rows to write to a file: calls and errors oldest first, costs by bucket."""

    kind: ExportKind = described("What is exported.")
    format: ExportFormat = described("How it is written.")
    compression: ExportCompression | None = optional("How the file is compressed; NONE when not given.")
    filter: CallFilter | None = optional("Which calls, for every kind but ERRORS.")
    error_filter: ErrorFilter | None = optional("Which errors, for ERRORS.")
    fields: list[str] | None = optional(
        "Names of fields of `Call`, `CallError` or `CostRow`, in the order in which they are written; all that the "
        "role sees when not given."
    )
    group_by: list[CostDimension] | None = optional(
        "What makes a row of COSTS; account, model, provider and status when not given."
    )
    group_by_tags: list[str] | None = optional("Tag keys that make a row of COSTS; at most five.")
    bucket: TimeBucket | None = optional("Width of the buckets of COSTS; DAY when not given, null for none.")
    time_zone: TimeZone | None = optional("IANA time zone of the buckets of COSTS; UTC when not given.")
    corrections: CorrectionTime | None = optional(
        "In which period corrections count in COSTS; BY_CALL_TIME when not given."
    )


def request_of(input: CreateExportInput, scope: Scope) -> ExportRequest:
    """What is asked for, for one who may ask. Looks for credentials in the filter, which takes a while.

    Raises BadInputError, and ForbiddenError for a field that the role may not see.
    """
    kind, grouping = input.kind.name, None
    grouped = [name for name in _GROUPING if getattr(input, name) is not UNSET]
    if kind == "COSTS":
        grouping = _grouping(input)
    elif grouped:
        raise BadInputError("`groupBy`, `groupByTags`, `bucket`, `timeZone` and `corrections` are of costs alone")
    gzip = given(input.compression) is ExportCompression.GZIP
    if gzip and input.format is ExportFormat.PARQUET:
        raise BadInputError("Parquet is compressed inside: leave `compression` out")
    if kind == "FOCUS" and given(input.fields) is not None:
        raise BadInputError("the columns of FOCUS are given: leave `fields` out")
    shape = SHAPES[kind] if grouping is None else shape_of(kind, grouping)
    filters = {"CallFilter": input.filter, "ErrorFilter": input.error_filter}
    if any(given(one) for name, one in filters.items() if name != shape.filter):
        raise BadInputError("calls and costs are chosen by `filter`, errors by `errorFilter`")
    filter_ = given(filters[shape.filter])
    return ExportRequest(
        kind,
        input.format.name,
        () if kind == "FOCUS" else chosen_fields(shape, given(input.fields), scope),
        written_filter(filter_) if filter_ else None,
        grouping,
        gzip,
    )


def _grouping(input: CreateExportInput) -> ExportGrouping:
    usual = ExportGrouping()
    bucket = usual.bucket if input.bucket is UNSET else _name(input.bucket)
    return ExportGrouping(
        usual.group_by if given(input.group_by) is None else _names(input.group_by or ()),
        tuple(given(input.group_by_tags) or ()),
        bucket,
        given(input.time_zone) or usual.time_zone,
        _name(given(input.corrections)) or usual.corrections,
    )


def _names(values: Sequence[Enum]) -> tuple[str, ...]:
    return tuple(value.name for value in values)


def _name(value: Enum | None) -> str | None:
    return None if value is None else value.name
