"""`calledger sql-access`: SQL for analysts, over files that hold what a role may see (docs/analysts.md)."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from policies import Role, view_table
from service.commands.common import in_runtime, say
from service.commands.options import Data, UnusedData, noun, one_of, parse_duration
from service.errors import RequestError
from service.export.files.parquet import refuse_without_pyarrow
from service.export.sql_folder import Access, end_folder, write_folder
from service.query.model.scope import Scope
from service.runtime.runtime import Runtime

app = noun("Give analysts SQL over what a role may see: a folder of Parquet files, for DuckDB and others.")
_DAYS_MAX = 3660
_EVERY = timedelta(days=1)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of these files, and of nothing else.")]


@app.command("write")
def write(
    folder: Folder,
    role: Annotated[
        Role, typer.Option(parser=one_of(Role), metavar="ROLE", help="Whose view it is: viewer, partner ...")
    ],
    account: Annotated[
        list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account; repeat for more.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=_DAYS_MAX, help="How many days back.")] = 400,
    again: Annotated[
        int, typer.Option(min=1, max=_DAYS_MAX, help="How many of the newest days are read again each time.")
    ] = 3,
    every: Annotated[
        timedelta | None,
        typer.Option(
            parser=parse_duration, metavar="SPAN", help="When it is run again at the latest: `1h` [default: 1d]."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Write DIR, or bring it up to date: calls, errors and costs, a Parquet file a day, as ROLE would be answered.

    What will be past its window before the next run is left out, so run it at least as often as --every says.
    After another policy, other options or an erasure all files are removed first, and written anew.
    DIR/open.sql has the views for DuckDB. What is written stands in the ledger. Needs `calledger[parquet]`.

    \b
    Example: calledger sql-access write /srv/analysts --role viewer
             calledger sql-access write /srv/acme --role partner --account acme --every 1h
    """
    refuse_without_pyarrow()
    in_runtime(
        data, lambda runtime: _write(runtime, folder, role, tuple(account or ()), (days, again, every or _EVERY))
    )


async def _write(
    runtime: Runtime, folder: Path, role: Role, names: tuple[str, ...], spans: tuple[int, int, timedelta]
) -> None:
    policy, numbers = runtime.applied.policy, [await runtime.accounts.find(name) for name in names]
    for name, number in zip(names, numbers, strict=True):
        if number is None:
            raise RequestError(f"no account is called `{name[:60]}`: `calledger accounts list` shows them")
    if role is Role.PARTNER and not names:
        raise RequestError("a partner sees its own accounts: name them by --account")
    accounts = tuple(sorted({number for number in numbers if number is not None})) or None
    scope = Scope("cli", role, accounts, policy, view_table(policy, role))
    files, rows = await write_folder(runtime, folder, Access(scope, names, *spans))
    say(f"{folder}: {files:,} days written, {rows:,} rows; open it by `duckdb -init open.sql` there")


@app.command("end")
def end(folder: Folder, data: UnusedData = None) -> None:  # noqa: ARG001 - see options
    """Remove the files of DIR. What was copied from there is not reached: see docs/analysts.md.

    \b
    Example: calledger sql-access end /srv/analysts
    """
    end_folder(folder)
    say(f"{folder}: nothing is left there")
