"""`calledger export`: rows of the ledger, for other programs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from graphql import GraphQLError

from service.api.exports.kinds import SHAPES, ExportGrouping, Fields, all_fields, chosen_fields, shape_of
from service.api.exports.requests import ExportRequest
from service.api.types.scalars import parse_moment
from service.api.usage.inputs import CostDimension
from service.commands.common import quiet_runtime, run, say
from service.commands.data.export_file import admin_scope, write_file, write_stdout
from service.commands.options import Data, noun, one_of
from service.errors import RequestError
from service.export.files.encoders import ExportFormat
from service.runtime.runtime import Runtime

app = noun("Write calls, errors, costs or charges to a file or to standard output, exactly as GraphQL would answer.")


class _Bucket(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    NONE = "none"


def parse_bound(text: str) -> datetime:
    """A day as its UTC midnight, or a time with an offset (RFC 3339). Raises typer.BadParameter."""
    try:
        if len(text) == len("2026-11-01"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return parse_moment(text)
    except (ValueError, GraphQLError):
        raise typer.BadParameter(
            f"`{text[:60]}` is not a moment: write `2026-11-01` or `2026-11-01T08:00:00Z`"
        ) from None


FormatOption = Annotated[
    ExportFormat,
    typer.Option(
        "--format",
        parser=one_of(ExportFormat),
        metavar="FORMAT",
        help="ndjson: one JSON object per line; csv: RFC 4180; parquet: needs `calledger[parquet]`.",
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(parser=parse_bound, metavar="TIME", help="From this moment on: `2026-11-01` (UTC) or RFC 3339."),
]
Until = Annotated[datetime | None, typer.Option(parser=parse_bound, metavar="TIME", help="Before this moment.")]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account; repeat for more.")
]
FieldOption = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="NAME", help="Only this field of the schema; repeat for more. Without: all."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write FILE, and FILE.manifest.json for `calledger verify`; without, standard output.",
    ),
]
Gzip = Annotated[bool, typer.Option("--gzip", help="Compress CSV or NDJSON (RFC 1952).")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with FILE.part where it was broken off: CSV and NDJSON, without --gzip.")
]
_DIMENSIONS = cast("type[StrEnum]", StrEnum("_DIMENSIONS", {one.name: one.name.lower() for one in CostDimension}))


def _dimension(text: str) -> StrEnum:
    return one_of(_DIMENSIONS)(text.lower().replace("-", "_"))


By = Annotated[
    list[StrEnum] | None,
    typer.Option(
        "--by",
        parser=_dimension,
        metavar="DIMENSION",
        help="What makes a row: account, model, provider, status, api_key ...; repeat for more. "
        "Without: account, model, provider and status.",
    ),
]
ByTag = Annotated[list[str] | None, typer.Option("--by-tag", metavar="KEY", help="A tag that makes a row, too.")]
Bucket = Annotated[
    _Bucket,
    typer.Option("--bucket", parser=one_of(_Bucket), metavar="BUCKET", help="hour, day, week, month or none."),
]
Zone = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Time zone of the buckets: `Europe/Vienna`.")]


@dataclass(frozen=True, slots=True)
class _Options:
    """The options that all kinds have."""

    form: ExportFormat
    since: datetime | None
    until: datetime | None
    accounts: list[str] | None
    output: Path | None
    gzip: bool
    resume: bool = False

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise typer.BadParameter("--since must be before --until")
        if self.gzip and self.form is ExportFormat.PARQUET:
            raise typer.BadParameter("Parquet is compressed inside: leave --gzip out")
        if self.resume and (self.output is None or self.gzip or self.form is ExportFormat.PARQUET):
            raise typer.BadParameter("--resume goes on with a file of CSV or NDJSON that is not compressed")

    def filter(self, time_field: str) -> dict[str, dict[str, Any]] | None:
        """The same as a GraphQL filter; None without any option."""
        bounds = {"gte": self.since, "lt": self.until}
        moments = {name: moment.isoformat() for name, moment in bounds.items() if moment is not None}
        conditions: dict[str, dict[str, Any]] = {time_field: moments} if moments else {}
        if self.accounts:
            conditions["account"] = {"in": self.accounts}
        return conditions or None


@app.command("calls")
def calls(
    form: FormatOption = ExportFormat.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    field: FieldOption = None,
    output: Output = None,
    gzip: Gzip = False,
    resume: Resume = False,
    data: Data = None,
) -> None:
    """Write calls, oldest first, with the field names of GraphQL; money exact.

    \b
    Examples: calledger export calls --since 2026-11-01 > calls.ndjson
              calledger export calls --format parquet -o november.parquet --since 2026-11-01 --until 2026-12-01
              calledger export calls --format csv -o calls.csv --resume        after it was broken off
    """
    _export("CALLS", _Options(form, since, until, account, output, gzip, resume), field, None, data)


@app.command("errors")
def errors(
    form: FormatOption = ExportFormat.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    field: FieldOption = None,
    output: Output = None,
    gzip: Gzip = False,
    resume: Resume = False,
    data: Data = None,
) -> None:
    """Write errors inside their window, oldest first, messages masked as for every reader.

    \b
    Example: calledger export errors --account acme --since 2026-11-01
    """
    _export("ERRORS", _Options(form, since, until, account, output, gzip, resume), field, None, data)


@app.command("costs")
def costs(
    form: FormatOption = ExportFormat.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    by: By = None,
    by_tag: ByTag = None,
    bucket: Bucket = _Bucket.DAY,
    time_zone: Zone = "UTC",
    field: FieldOption = None,
    output: Output = None,
    gzip: Gzip = False,
    data: Data = None,
) -> None:
    """Write sums by bucket of local time, account, model, provider, status and currency, or in another grouping.

    \b
    Examples: calledger export costs --since 2026-10-01 --until 2026-11-01
              calledger export costs --by account --by model --bucket month --time-zone Europe/Vienna --format csv
    """
    usual = ExportGrouping()
    dimensions = tuple(dimension.name for dimension in by) if by is not None else usual.group_by
    name = None if bucket is _Bucket.NONE else bucket.name
    grouping = ExportGrouping(dimensions, tuple(by_tag or ()), name, time_zone)
    _export("COSTS", _Options(form, since, until, account, output, gzip), field, grouping, data)


@app.command("focus")
def focus(
    form: FormatOption = ExportFormat.CSV,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    output: Output = None,
    gzip: Gzip = False,
    data: Data = None,
) -> None:
    """Write charges by UTC day, account, model and token type, with the columns of FOCUS 1.2 (focus.finops.org).

    Corrections stand in the month in which they were made. Calls without an amount are not in it.

    \b
    Example: calledger export focus --since 2026-10-01 --until 2026-11-01 -o focus-2026-10.csv
    """
    _export("FOCUS", _Options(form, since, until, account, output, gzip), None, None, data)


def _export(
    kind: str, options: _Options, names: list[str] | None, grouping: ExportGrouping | None, data: Path | None
) -> None:
    run(lambda: _write(kind, options, names, grouping, data))


async def _write(
    kind: str, options: _Options, names: list[str] | None, grouping: ExportGrouping | None, data: Path | None
) -> None:
    async with quiet_runtime(data) as runtime:
        await _refuse_unknown(runtime, options.accounts or [])
        fields = _fields(runtime, kind, names, grouping)
        filter_ = options.filter(SHAPES[kind].time_field)
        request = ExportRequest(kind, options.form.name, fields, filter_, grouping, options.gzip)
        if options.output is None:
            await write_stdout(runtime, request)
        else:
            rows = await write_file(runtime, request, options.output, resume=options.resume)
            say(f"{options.output}: {rows:,} rows; `calledger verify {options.output}` checks it")


def _fields(runtime: Runtime, kind: str, names: list[str] | None, grouping: ExportGrouping | None) -> Fields:
    if kind == "FOCUS":
        return ()
    shape = SHAPES[kind] if grouping is None else shape_of(kind, grouping)
    return all_fields(shape) if names is None else chosen_fields(shape, names, admin_scope(runtime))


async def _refuse_unknown(runtime: Runtime, accounts: list[str]) -> None:
    """Raise RequestError for an unknown name: a mistyped one must not look like an account without calls."""
    for name in accounts:
        if await runtime.accounts.find(name) is None:
            raise RequestError(f"no account is called `{name[:60]}`: `calledger accounts list` shows them")
