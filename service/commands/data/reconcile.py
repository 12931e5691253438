"""`calledger reconcile`: what an invoice, a usage export or a gateway's log has, and what is recorded here."""

from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from service.commands.common import in_runtime, progress, say, table
from service.commands.data.export_file import admin_scope
from service.commands.options import Data, one_of, verb
from service.imports.sources.file import FileSource
from service.query.reader import Reader
from service.reconcile.layouts import LAYOUTS
from service.reconcile.report import COLUMNS, as_json, csv_text, html_text, json_text
from service.reconcile.run import ReconcileRequest, Reconciliation
from service.reconcile.run import reconcile as compare
from service.runtime.runtime import Runtime

app = verb()


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


Source = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, NDJSON or a JSON array, plain or gzip.")]
Kind = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="KIND", help=f"{', '.join(one.name for one in LAYOUTS)}; by default as the columns tell."
    ),
]
Zone = Annotated[str, typer.Option("--time-zone", metavar="NAME", help="Whose days theirs are.")]
Since = Annotated[date | None, typer.Option(parser=_day, metavar="DAY", help="The first day; by default theirs.")]
Until = Annotated[date | None, typer.Option(parser=_day, metavar="DAY", help="The last day; by default theirs.")]
Account = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this account; repeat for more.")]
Currency = Annotated[str | None, typer.Option(metavar="CODE", help="Of rows that name none.")]
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
    tolerance: Share = None,
    served: Served = False,
    form: Form = ReportFormat.TABLE,
    output: Output = None,
    data: Data = None,
) -> None:
    """Compare what others bill with what is recorded here, by day, model and currency, and by call where ids allow.

    Finds what is missing here or there, doubled, priced differently, without an amount, or was refused. Amounts may
    differ by the tolerance, and by what their side has rounded. The exit code is 1 when there are differences, or rows
    that could not be read.

    \b
    Examples: calledger reconcile invoice.csv --time-zone America/Los_Angeles
              calledger reconcile focus.csv.gz --format html -o november.html
    """
    if (since is None) != (until is None):
        raise typer.BadParameter("give both --since and --until, or neither")
    if since is not None and until is not None and since > until:
        raise typer.BadParameter("--since must not be later than --until")
    share, zone = (None if tolerance is None else _share(tolerance)), _zone(time_zone)

    async def work(runtime: Runtime) -> Reconciliation:
        """Compare, and show how far it is."""
        request = ReconcileRequest(
            name=source.name,
            zone=zone,
            tolerance=runtime.settings.reconcile_tolerance if share is None else share,
            layout=layout,
            days=None if since is None or until is None else (since, until),
            currency=currency,
            accounts=tuple(account or ()),
            served=served,
        )
        reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
        with progress() as bar:
            task = bar.add_task("reading", total=None)

            def seen(rows: int, calls: int) -> None:
                """Move the bar."""
                bar.update(task, description=f"{rows} rows, {calls} calls")

            return await compare(FileSource(source), reader, admin_scope(runtime), request, seen)

    result = in_runtime(data, work)
    if form is ReportFormat.TABLE:
        _print(result)
    elif output is None:
        say(_WRITERS[form](result).rstrip("\n"))
    if output is not None:
        output.write_text(_WRITERS[ReportFormat.JSON if form is ReportFormat.TABLE else form](result), "utf-8")
    if result.differences.found or result.unread:
        raise typer.Exit(1)


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
