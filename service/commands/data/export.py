"""`calledger export`: rows of the ledger, for other programs."""

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from graphql import GraphQLError

from service.api.types.scalars import parse_moment
from service.commands.common import progress, quiet_runtime, run
from service.commands.options import Data, noun, one_of
from service.errors import RequestError
from service.export import ENCODERS, KINDS, ExportFormat, exported_pages, ledger_taken
from service.runtime.runtime import Runtime

app = noun("Write calls, errors or costs to standard output, oldest first.")


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
    typer.Option("--format", parser=one_of(ExportFormat), metavar="FORMAT", help="ndjson: one JSON object per line."),
]
Since = Annotated[
    datetime | None,
    typer.Option(parser=parse_bound, metavar="TIME", help="From this moment on: `2026-11-01` (UTC) or RFC 3339."),
]
Until = Annotated[datetime | None, typer.Option(parser=parse_bound, metavar="TIME", help="Before this moment.")]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account; repeat for more.")
]


@dataclass(frozen=True, slots=True)
class _ExportRequest:
    """The options of an export."""

    since: datetime | None
    until: datetime | None
    accounts: list[str] | None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise typer.BadParameter("--since must be before --until")

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
    data: Data = None,
) -> None:
    """Write calls, with the field names of GraphQL; money as exact decimal strings.

    \b
    Example: calledger export calls --since 2026-11-01 > calls.ndjson
    """
    _export("calls", form, _ExportRequest(since, until, account), data)


@app.command("errors")
def errors(
    form: FormatOption = ExportFormat.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    data: Data = None,
) -> None:
    """Write errors inside their window, messages masked as for every reader.

    \b
    Example: calledger export errors --account acme --since 2026-11-01
    """
    _export("errors", form, _ExportRequest(since, until, account), data)


@app.command("costs")
def costs(
    form: FormatOption = ExportFormat.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    data: Data = None,
) -> None:
    """Write sums by UTC day, account, model, provider, status and currency.

    \b
    Example: calledger export costs --since 2026-10-01 --until 2026-11-01
    """
    _export("costs", form, _ExportRequest(since, until, account), data)


def _export(name: str, form: ExportFormat, request: _ExportRequest, data: Path | None) -> None:
    run(lambda: _write(name, form, request, data))
    sys.stdout.buffer.flush()


async def _write(name: str, form: ExportFormat, request: _ExportRequest, data: Path | None) -> None:
    kind, encode = KINDS[name], ENCODERS[form]
    filter_ = request.filter(kind.time_field)
    async with quiet_runtime(data) as runtime:
        await _refuse_unknown(runtime, request.accounts or [])
        with progress() as bar:
            task = bar.add_task(f"exporting {name}", total=None)
            entry, announced, written = None, 0, 0
            async for page in exported_pages(runtime, kind, filter_):
                if entry is None:
                    announced = len(page.rows) if page.total is None else page.total
                    entry = await ledger_taken(runtime, name, form.value, filter_, announced)
                written += len(page.rows)
                sys.stdout.buffer.write(b"".join(map(encode, page.rows)))
                bar.update(task, advance=len(page.rows), total=page.total)
            if written != announced:  # calls were reported meanwhile
                await ledger_taken(runtime, name, form.value, filter_, written, instead_of=entry)


async def _refuse_unknown(runtime: Runtime, accounts: list[str]) -> None:
    """Raise RequestError for an unknown name: a mistyped one must not look like an account without calls."""
    for name in accounts:
        if await runtime.accounts.find(name) is None:
            raise RequestError(f"no account is called `{name[:60]}`: `calledger accounts list` shows them")
