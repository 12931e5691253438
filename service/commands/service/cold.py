"""`calledger cold`: calls of past partitions in files."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from service.commands.common import in_runtime, say, table
from service.commands.options import Data, noun
from service.errors import RequestError
from service.retention.cold.check import check_cold
from service.retention.cold.freeze import LEASE, candidates, freeze
from service.retention.cold.thaw import thaw
from service.runtime.runtime import Runtime
from service.storage.cold.catalogue import AGE_MIN, cold_files

app = noun("Move calls of past partitions to files, and back.")
_DAYS: int = AGE_MIN.days
_PARTITIONS_HELP = "A partition by its name; repeat for more."


@app.command("status")
def status(data: Data = None) -> None:
    """List the files: partition, calls, bytes, state; exits with 1 if one is missing or not as it was written."""

    async def work(runtime: Runtime) -> list[str]:
        """Print the files, and check them."""
        context = runtime.retention
        rows = [
            (
                file.partition,
                file.start,
                file.end,
                file.rows,
                file.bytes,
                "frozen" if file.frozen else "copied",
                file.name,
            )
            for file in await cold_files(context.owner)
        ]
        table(("partition", "from", "to", "calls", "bytes", "state", "file"), rows)
        wrong, _ = await check_cold(context, datetime.now(UTC))
        return wrong

    wrong = in_runtime(data, work)
    for text in wrong:
        typer.echo(text, err=True)
    if wrong:
        raise typer.Exit(1)


@app.command("freeze")
def freeze_(
    days: Annotated[
        int | None,
        typer.Option(min=_DAYS, help="Days since the partition ended [default: CALLEDGER_COLD_DAYS, or 35]."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would move.")] = False,
    data: Data = None,
) -> None:
    """Move calls of past partitions to files in DATA/cold, one file a partition; takes two minutes and the copying.

    The files answer lists, single calls, the change feed and exports as the database does; sums stay in the database.
    What changes calls (an erasure, a hold, a field that the policy withdraws) brings them back first.
    """

    async def work(runtime: Runtime) -> None:
        """Begin with all that may move, wait until every reader knows the files, and end it."""
        context = runtime.retention
        age = timedelta(days=days or runtime.settings.cold_days or _DAYS)
        found = await candidates(context, age)
        table(
            ("partition", "rows", "bytes", "waits for"),
            [(one.partition.name, one.partition.rows_estimate, one.partition.bytes, one.reason) for one in found],
        )
        if dry_run:
            return
        frozen = await freeze(context, age, actor="cli")
        if any(not file.frozen for file in await cold_files(context.owner)):
            await asyncio.sleep(LEASE.total_seconds() + 1)
            frozen += await freeze(context, age, actor="cli", most=0)
        for file in frozen:
            say(f"{file.partition}: {file.rows} calls, {file.bytes} bytes")
        if not frozen:
            say("nothing has moved")

    in_runtime(data, work)


@app.command("thaw")
def thaw_(
    partition: Annotated[list[str] | None, typer.Argument(metavar="PARTITION", help=_PARTITIONS_HELP)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All files.")] = False,
    data: Data = None,
) -> None:
    """Bring the calls of files back into their partitions, and remove the files."""
    if bool(partition) == everything:
        raise typer.BadParameter("name partitions as `calledger cold status` does, or --all")

    async def work(runtime: Runtime) -> None:
        """Bring back one file after the other."""
        context = runtime.retention
        files = {file.partition: file for file in await cold_files(context.owner)}
        unknown = sorted({*(partition or ())} - files.keys())
        if unknown:
            raise RequestError(f"`{unknown[0][:60]}` has no file: `calledger cold status` lists those that have")
        for name in partition or sorted(files):
            if await thaw(context, files[name], actor="cli"):
                say(f"{name}: {files[name].rows} calls are back")

    in_runtime(data, work)
