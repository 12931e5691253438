"""`calledger import`: the history of another gateway, by the way that its reports come."""

import asyncio
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from service.commands.common import in_runtime, say
from service.commands.data.source_options import (
    Account,
    AccountColumn,
    Currency,
    FormatArgument,
    QuotaPerUnit,
    SecretFile,
    Since,
    UserId,
    refuse_options,
    source_secret,
)
from service.commands.options import Data, verb
from service.errors import OperatorError
from service.imports.addresses import open_source
from service.imports.column_maps import check_columns, form_of, load_map, suggest
from service.imports.counts import ImportCounts
from service.imports.formats import FORMATS, ImportFormat, ImportOptions
from service.imports.run import import_rows, try_rows
from service.imports.sources.pages import RowSource
from service.ingest.results import Status
from service.memory import expect_rows
from service.runtime.runtime import Runtime

app = verb()

_TRIED_ROWS: Final = 10

MapFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--map", metavar="FILE", help="csv, ndjson: which column is which field (docs/importing.md)."),
]
SuggestMap: TypeAlias = Annotated[
    bool, typer.Option("--suggest-map", help="csv, ndjson: store nothing, print a column map to begin with.")
]


@app.command("import")
def import_(
    form: FormatArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file of JSON lines, a JSON array or CSV with a line of names, plain or gzip; a gateway's database: "
            "sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://USER@HOST/NAME; or its address: https://HOST for the "
            "log that administrators see, for new-api https://HOST/api/log/self for a user's own.",
        ),
    ],
    account: Account = None,
    map_: MapFile = None,
    suggest_map: SuggestMap = False,
    quota_per_unit: QuotaPerUnit = None,
    currency: Currency = None,
    account_by: AccountColumn = None,
    secret_file: SecretFile = None,
    user_id: UserId = None,
    since: Since = None,
    try_: Annotated[
        bool,
        typer.Option("--try", help=f"Store nothing: show the first {_TRIED_ROWS} rows as they would be stored."),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, and not where an import of this source was broken off.")
    ] = False,
    data: Data = None,
) -> None:
    """Bring in the calls of another gateway, also while the service runs.

    Rows pass the same policy and redaction as reports over HTTP, and what is refused is counted in `ingestReport`.
    What is broken off goes on where it was, when it is called again; what was imported before is a duplicate.
    Exit code 1 when a row was refused, or the source failed in the middle.

    \b
    Example: calledger import native calls.ndjson.gz --account acme
    Example: calledger import litellm payloads.ndjson --try
    Example: calledger import litellm https://litellm.internal --secret-file key.txt --since 2026-11-01
    Example: calledger import csv calls.csv --map calls.toml --account acme
    Example: calledger import new-api postgresql://reader@db.internal/newapi --secret-file password.txt
    Example: calledger import new-api sqlite:////opt/new-api/one-api.db --since 2026-11-01
    Example: calledger import new-api https://gateway.internal --secret-file token.txt --user-id 1
    """
    column_map = None if map_ is None else load_map(map_)
    found, options = FORMATS[form], ImportOptions(quota_per_unit, currency, account_by, column_map)
    refuse_options(found, form, options)
    opened = open_source(found, source, source_secret(secret_file), user_id, csv=form_of(column_map), since=since)
    if suggest_map:
        say(asyncio.run(suggest(opened)))
        return
    if column_map is not None and (left := check_columns(opened, column_map)):
        typer.echo(f"columns that are not kept: {', '.join(left)}", err=True)
    if try_:
        in_runtime(data, lambda runtime: _try(runtime, found, opened, options))
    else:
        refused = in_runtime(data, lambda runtime: _import(runtime, found, opened, options, (account, restart, since)))
        if refused:
            raise OperatorError(f"{refused:,} rows were refused: what is above says why")


async def _try(runtime: Runtime, form: ImportFormat, source: RowSource, options: ImportOptions) -> None:
    for row in await try_rows(runtime, form, source, options, _TRIED_ROWS):
        say(json.dumps(row, ensure_ascii=False, default=str))


async def _import(
    runtime: Runtime,
    form: ImportFormat,
    source: RowSource,
    options: ImportOptions,
    which: tuple[str | None, bool, datetime | None],
) -> int:
    """Import, and say what became of the rows; how many were refused. `which`: account, whether anew, since when."""
    account, restart, since = which
    expect_rows()
    progress = Progress(
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    begun = time.monotonic()
    with progress:
        task = progress.add_task("reading", total=None)

        def show(counts: ImportCounts, before: int) -> None:
            """Show how far it is."""
            rate = counts.rows / max(time.monotonic() - begun, 1e-3)
            progress.update(task, description=f"{before + counts.rows:,} rows, {rate:,.0f}/s, {_outcomes(counts)}")

        counts = await import_rows(
            runtime, form, source, options, account=account, restart=restart, since=since, progress=show
        )
    for line in _summary(counts):
        say(line)
    return counts.refused.total()


def _outcomes(imported: ImportCounts) -> str:
    counts = {
        "stored": imported.statuses[Status.ACCEPTED],
        "completed": imported.statuses[Status.COMPLETED],
        "duplicates": imported.statuses[Status.DUPLICATE],
        "skipped": imported.statuses[Status.SKIPPED],
        "refused": imported.refused.total(),
    }
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing"


def _summary(counts: ImportCounts) -> list[str]:
    lines = [f"{counts.rows:,} rows: {_outcomes(counts)}"]
    for name, sums in (("new", counts.stored), ("known before", counts.known)):
        lines += [f"amount {name}: {amount.normalize():f} {currency}" for currency, amount in sorted(sums.items())]
    lines += [f"skipped: {count:,} {reason}" for reason, count in counts.skipped.most_common()]
    for code, count in counts.refused.most_common():
        lines.append(f"refused: {count:,} {code.value}, such as {counts.examples[code]}")
    if counts.dropped:
        dropped = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.dropped.items()))
        lines.append(f"left out of rows: {dropped}")
    return lines
