"""`calledger export`: rows of the ledger, for other programs."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from graphql import GraphQLError
from rich.console import Console
from rich.progress import Progress

from service.api.scalars import parse_moment
from service.commands.common import Data, quiet_runtime, run
from service.errors import RequestError
from service.export import ENCODERS, KINDS, Format, exported_pages

app = typer.Typer(help="Write rows of the ledger to standard output, oldest first.", no_args_is_help=True)


FormatOption = Annotated[Format, typer.Option("--format", help="ndjson: one JSON object a line.")]
Since = Annotated[str | None, typer.Option(help="From this moment on, as in `2026-11-01` or `2026-11-01T08:00:00Z`.")]
Until = Annotated[str | None, typer.Option(help="Before this moment.")]
AccountOption = Annotated[list[str] | None, typer.Option("--account", help="Only this account; repeat for more.")]


@app.command("calls")
def calls(
    form: FormatOption = Format.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    data: Data = None,
) -> None:
    """Write calls, with the field names of GraphQL; money as exact decimal strings.

    Example: calledger export calls --since 2026-11-01 > calls.ndjson
    """
    run(lambda: _write("calls", form, since, until, account, data))


@app.command("errors")
def errors(
    form: FormatOption = Format.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    data: Data = None,
) -> None:
    """Write errors inside their window, messages masked as for every reader.

    Example: calledger export errors --account acme
    """
    run(lambda: _write("errors", form, since, until, account, data))


@app.command("costs")
def costs(
    form: FormatOption = Format.NDJSON,
    since: Since = None,
    until: Until = None,
    account: AccountOption = None,
    data: Data = None,
) -> None:
    """Write sums by UTC day, account, model, provider, status and currency.

    Example: calledger export costs --since 2026-10-01 --until 2026-11-01
    """
    run(lambda: _write("costs", form, since, until, account, data))


async def _write(
    name: str, form: Format, since: str | None, until: str | None, accounts: list[str] | None, data: Path | None
) -> None:
    kind = KINDS[name]
    wanted = _filter(kind.time_field, since, until, accounts)
    encode = ENCODERS[form]
    async with quiet_runtime(data) as runtime:
        with Progress(transient=True, console=Console(stderr=True)) as progress:
            task = progress.add_task(f"exporting {name}", total=None)
            async for page in exported_pages(runtime, kind, wanted):
                for row in page.rows:
                    sys.stdout.buffer.write(encode(row))
                progress.update(task, advance=len(page.rows), total=page.total)
    sys.stdout.buffer.flush()


def _filter(
    time_field: str, since: str | None, until: str | None, accounts: list[str] | None
) -> dict[str, dict[str, Any]] | None:
    wanted: dict[str, dict[str, Any]] = {}
    if since is not None:
        wanted.setdefault(time_field, {})["gte"] = _moment(since)
    if until is not None:
        wanted.setdefault(time_field, {})["lt"] = _moment(until)
    if accounts:
        wanted["account"] = {"in": accounts}
    return wanted or None


def _moment(text: str) -> str:
    """A day is its UTC midnight; a moment has an offset (RFC 3339)."""
    try:
        if len(text) == len("2026-11-01"):
            return f"{date.fromisoformat(text)}T00:00:00Z"
        parse_moment(text)
    except (ValueError, GraphQLError):
        raise RequestError(f"`{text[:60]}` is not a moment: write `2026-11-01` or `2026-11-01T08:00:00Z`") from None
    return text
