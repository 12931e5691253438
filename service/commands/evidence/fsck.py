"""`calledger fsck`: prove that the ledger is what it says."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.common import quiet_runtime, run, say
from service.commands.options import Data, verb
from service.ledger import check as check_entries
from service.retention.audit.fsck import check_ledger

app = verb()


@app.command()
def fsck(
    deep: Annotated[bool, typer.Option("--deep", help="Open everything that is sealed, and not a sample.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Check all partitions and days, those too in which nothing has changed.")
    ] = False,
    data: Data = None,
) -> None:
    """Prove that sums equal calls, and that nothing is kept past its time.

    Also that every partition is where it belongs, that each call has its position in the change feed once, that what is
    sealed opens, that row-level security is there, and that keys, holds, erasures, purges, policies, notes and the
    mirror are what the ledger says.
    Prints one line per check, `ok` or `FAIL`; the exit code is 1 when one fails.
    Partitions of calls, and days of sums, in which an earlier run found nothing wrong and nothing has
    changed since by what PostgreSQL counts are left out for 30 days, and the line says so: `--full` checks
    them too. A run that was interrupted is continued by the next one.
    Changes nothing but its own results, and may run while the service runs.

    \b
    Example: calledger fsck
    """
    if not run(lambda: _check(data, deep=deep, full=full)):
        raise typer.Exit(1)


async def _check(data: Path | None, *, deep: bool, full: bool) -> bool:
    passed = True
    async with quiet_runtime(data) as runtime:
        async for finding in check_ledger(runtime.retention, deep=deep, again=True, full=full):
            say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check}: {finding.detail}")
            passed = passed and finding.ok
        ledger = await check_entries(runtime.ledger)
    detail = "; ".join(ledger.problems) or f"{ledger.size} entries and {ledger.checkpoints} checkpoints, derived again"
    say(f"{'FAIL' if ledger.problems else 'ok  '} ledger: {detail}")
    return passed and not ledger.problems
