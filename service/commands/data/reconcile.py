"""`calledger reconcile`: what an invoice, a usage export or a gateway's log has, and what is recorded here."""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from service.commands.common import in_runtime, progress, say, table
from service.commands.data.export_file import admin_scope
from service.commands.data.source_options import QuotaPerUnit, SecretFile, UserId, refuse_options, source_secret
from service.commands.options import Data, one_of, verb
from service.imports.addresses import open_source, shown
from service.imports.formats import FORMATS, ImportFormat, ImportOptions
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource
from service.query.reader import Reader
from service.reconcile.calls import CallRows
from service.reconcile.layouts import LAYOUTS
from service.reconcile.report import COLUMNS, as_json, csv_text, html_text, json_text
from service.reconcile.results import keep
from service.reconcile.run import ReconcileRequest, Reconciliation
from service.reconcile.run import reconcile as compare
from service.runtime.runtime import Runtime

app = verb()

ACTOR: Final = "cli"


class ReportFormat(StrEnum):
    """What the report is written as."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


_WRITERS = {ReportFormat.JSON: json_text, ReportFormat.CSV: csv_text, ReportFormat.HTML: html_text}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text[:40]}` is no day: write 2026-11-01") from None


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"`{text[:60]}` is no time zone: write a name such as `Asia/Shanghai`") from None


Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A file of CSV, NDJSON or a JSON array, plain or gzip; or, with --from new-api, one-api or litellm, a "
        "gateway's database or address, as of `calledger import`.",
    ),
]
_COLUMNS: Final = ("day", "model", "amount", "currency", "tokens", "id")
_LAYOUTS: Final = [one.name for one in LAYOUTS]
_LOGS: Final = [name for name, form in FORMATS.items() if name not in _LAYOUTS and "map" not in form.options]


def _kind(name: str) -> str:
    if name not in (*_LAYOUTS, *_LOGS):
        raise typer.BadParameter(f"`{name[:40]}` is none of {', '.join((*_LAYOUTS, *_LOGS))}")
    return name


Kind = Annotated[
    str | None,
    typer.Option(
        "--from",
        parser=_kind,
        metavar="KIND",
        help=f"Bills and usage: {', '.join(_LAYOUTS)}; by default as the columns tell. Logs of gateways, read as "
        f"`calledger import` reads them: {', '.join(_LOGS)}.",
    ),
]
Zone = Annotated[str, typer.Option("--time-zone", metavar="NAME", help="Whose days theirs are.")]
Since = Annotated[date | None, typer.Option(parser=_day, metavar="DAY", help="The first day; by default theirs.")]
Until = Annotated[date | None, typer.Option(parser=_day, metavar="DAY", help="The last day; by default theirs.")]
Account = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this account; repeat for more.")]
Currency = Annotated[str | None, typer.Option(metavar="CODE", help="Of rows that name none.")]


def _column(text: str) -> tuple[str, str]:
    name, _, column = text.partition("=")
    if name not in _COLUMNS or not column:
        raise typer.BadParameter(f"`{text[:60]}` is no column: write one of {', '.join(_COLUMNS)}, `=` and its name")
    return name, column


Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help=f"Of an invoice with other names: which column is {', '.join(_COLUMNS)}; repeat for more.",
    ),
]
Share = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Of an amount, such as 0.001; by default the setting.")
]
Served = Annotated[bool, typer.Option("--served-model", help="Compare by the model that answered.")]
Form = Annotated[
    ReportFormat,
    typer.Option("--format", parser=one_of(ReportFormat), metavar="FORMAT", help="table, json, csv or html."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report there.")]


@app.command()
def reconcile(
    source: Source,
    layout: Kind = None,
    time_zone: Zone = "UTC",
    since: Since = None,
    until: Until = None,
    account: Account = None,
    currency: Currency = None,
    column: Column = None,
    tolerance: Share = None,
    served: Served = False,
    quota_per_unit: QuotaPerUnit = None,
    secret_file: SecretFile = None,
    user_id: UserId = None,
    form: Form = ReportFormat.TABLE,
    output: Output = None,
    data: Data = None,
) -> None:
    """Compare what others bill with what is recorded here, by day, model and currency, and by call where ids allow.

    Finds what is missing here or there, doubled, priced differently, without an amount, or was refused. Amounts may
    differ by the tolerance, and by what their side has rounded. The exit code is 1 when there are differences, or rows
    that could not be read. What comes of it is kept, for `reconciliations` of GraphQL and the console.

    \b
    Examples: calledger reconcile invoice.csv --time-zone America/Los_Angeles
              calledger reconcile focus.csv.gz --format html -o november.html
              calledger reconcile rechnung.csv --column day=Datum --column model=Modell --column amount=Betrag
              calledger reconcile https://gateway.internal --from new-api --secret-file token.txt --user-id 1
    """
    days, columns = _days(since, until), dict(map(_column, column or ()))
    share, zone = (None if tolerance is None else _share(tolerance)), _zone(time_zone)
    where = _Where(source, layout, quota_per_unit, currency, source_secret(secret_file), user_id)
    opened = where.opened(None if since is None else datetime.combine(since, time(), zone))

    async def work(runtime: Runtime) -> Reconciliation:
        """Compare, show how far it is, and keep what came of it."""
        request = ReconcileRequest(
            name=where.name(opened),
            zone=zone,
            tolerance=runtime.settings.reconcile_tolerance if share is None else share,
            layout=layout or ("invoice" if column else None),
            days=days,
            currency=currency,
            accounts=tuple(account or ()),
            served=served,
            columns=columns,
        )
        reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
        with progress() as bar:
            task = bar.add_task("reading", total=None)

            def seen(rows: int, calls: int) -> None:
                """Move the bar."""
                bar.update(task, description=f"{rows} rows, {calls} calls")

            found = await compare(opened, reader, admin_scope(runtime), request, seen, read=where.read(zone))
        await keep(runtime, found, ACTOR)
        return found

    result = in_runtime(data, work)
    if form is ReportFormat.TABLE:
        _print(result)
    elif output is None:
        say(_WRITERS[form](result).rstrip("\n"))
    if output is not None:
        output.write_text(_WRITERS[ReportFormat.JSON if form is ReportFormat.TABLE else form](result), "utf-8")
    if result.differences.found or result.unread:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Where:
    """Where their rows are, and what they are."""

    source: str
    kind: str | None
    quota_per_unit: Decimal | None
    currency: str | None
    secret: str | None
    user: str | None

    @property
    def log(self) -> ImportFormat | None:
        """The format of a gateway's own log; None for a bill."""
        is_log = self.kind in _LOGS or (self.kind in FORMATS and "://" in self.source)
        return FORMATS[self.kind or ""] if is_log else None

    @property
    def options(self) -> ImportOptions:
        """What was said of a log's rows."""
        log = self.log
        return ImportOptions(self.quota_per_unit, self.currency if log and "currency" in log.options else None)

    def opened(self, since: datetime | None) -> RowSource:
        """The source. Raises OperatorError, and typer.BadParameter for options that mean nothing for it."""
        if self.log is not None:
            refuse_options(self.log, self.kind or "", self.options)
            return open_source(self.log, self.source, self.secret, self.user, since=since)
        if self.quota_per_unit is not None:
            raise typer.BadParameter("--quota-per-unit is for --from new-api and one-api")
        return FileSource(Path(self.source))

    def name(self, opened: RowSource) -> str:
        """What it is called in the report."""
        return Path(self.source).name if isinstance(opened, FileSource) else shown(self.source)

    def read(self, zone: ZoneInfo) -> CallRows | None:
        """What reads the rows of a log; None for those of a bill."""
        log = self.log
        return None if log is None else CallRows(self.kind or "", log.source, log.reader(self.options), zone)


def _days(since: date | None, until: date | None) -> tuple[date, date] | None:
    if since is None or until is None:
        if since is not until:
            raise typer.BadParameter("give both --since and --until, or neither")
        return None
    if since > until:
        raise typer.BadParameter("--since must not be later than --until")
    return since, until


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal(-1)
    if not 0 <= share < 1:
        raise typer.BadParameter(f"--tolerance `{text[:40]}` is no share from 0 to below 1, such as 0.001")
    return share


def _print(result: Reconciliation) -> None:
    said = as_json(result)
    rows = [
        [" ".join(one[name]) if name == "examples" else one[name] for name in COLUMNS] for one in said["differences"]
    ]
    if rows:
        table(COLUMNS, rows)
    for why, count in result.unread.items():
        say(f"{count} rows could not be read: one {why}")
    for currency in sorted(result.theirs.keys() | result.ours.keys()):
        say(f"{currency}: theirs {said['theirs'].get(currency, '0')}, ours {said['ours'].get(currency, '0')}")
    how = "by their ids" if result.by_ids else "by their sums"
    found = sum(one.calls for one in result.differences.found.values()) + result.differences.beyond
    say(f"{result.rows} rows of {result.layout} and {result.calls} calls compared {how}: {found} differ")
