"""`calledger cold`: calls of past partitions in files."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from service.api.types.public_ids import encode_id
from service.commands.common import in_runtime, say, table
from service.commands.options import Data, noun
from service.errors import RequestError
from service.retention.cold.check import check_cold
from service.retention.cold.freeze import LEASE, candidates, freeze
from service.retention.cold.rewrite import rewrite, waiting
from service.retention.cold.thaw import thaw
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind, pending_erasures
from service.runtime.runtime import Runtime
from service.storage.cold.catalogue import AGE_MIN, cold_files
from service.storage.cold.errors import ColdFileError
from service.storage.errors import PartitionsBusyError

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
    """Move calls of past partitions to files, one file a partition; takes two minutes and the copying.

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


@app.command("forget")
def forget(
    account: Annotated[str | None, typer.Option(metavar="NAME", help="The account.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept as an erasable note of the ledger.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="The person's id, as the gateway reports it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the account, its name and its key too.")] = False,
    data: Data = None,
) -> None:
    """Erase a person or an account as `calledger erase` does, and write files that had their calls anew at once.

    Without an account it goes on with erasures and files that were begun before: after a kill, and for those that the
    API was asked for. The service's maintenance does so too, in its rounds. Exits with 1 while an erasure has not ended
    or a file waits.

    \b
    Examples: calledger cold forget --account acme --user u-17 --reason "asked by letter"
              calledger cold forget
    """
    if account is None:
        if everything or user is not None or reason is not None:
            raise typer.BadParameter("whose data is it: name the --account")
    elif everything == (user is not None) or user == "":
        raise typer.BadParameter("give either --user ID or --all")
    elif reason is None:
        raise typer.BadParameter("give a --reason")

    async def work(runtime: Runtime) -> list[str]:
        """Erase, write the files anew, and return in words what waits."""
        context, left = runtime.retention, list[str]()
        if account is not None and reason is not None:
            kind = ErasureKind.ACCOUNT if everything else ErasureKind.USER
            erasure = await request_erasure(context, kind=kind, account=account, user=user, reason=reason, actor="cli")
            held = f": {len(erasure.blocked_by)} holds keep some for their exports" if erasure.blocked_by else " yet"
            say(f"{erasure.rows} rows erased" + ("" if erasure.finished_at else f", not all{held}"))
        else:
            try:
                await carry_out_erasures(context)
            except (ColdFileError, PartitionsBusyError) as error:  # what has been erased is written anew all the same
                left.append(str(error))
        pending = await pending_erasures(context.owner, timedelta(0))
        left += [f"{encode_id('erasure', one.id)}: has not ended" for one in pending if one.state == "REQUESTED"]
        for file in await rewrite(context, actor="cli"):
            say(f"{file.partition}: {file.rows} calls in a new file, {file.bytes} bytes")
        return left + [
            f"{partition}: has no new file yet, `calledger cold freeze --dry-run` says why"
            for partition in await waiting(context)
        ]

    left = in_runtime(data, work)
    for text in left:
        typer.echo(text, err=True)
    if left:
        raise typer.Exit(1)


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
