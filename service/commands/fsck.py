"""`calledger fsck`: prove that the ledger is what it says."""

from pathlib import Path

import typer

from service.commands.common import quiet_runtime, run, say
from service.commands.options import Data, verb
from service.ledger import check as check_entries
from service.retention.fsck import check_ledger

app = verb()


@app.command()
def fsck(data: Data = None) -> None:
    """Prove that sums equal calls, and that nothing is kept past its time.

    Also that every partition is where it belongs, and that what is sealed has its key.
    Prints a line a check, `ok` or `FAIL`; the exit code is 1 when one fails.
    Changes nothing, and may run beside the service.

    \b
    Example: calledger fsck
    """
    if not run(lambda: _check(data)):
        raise typer.Exit(1)


async def _check(data: Path | None) -> bool:
    fine = True
    async with quiet_runtime(data) as runtime:
        async for finding in check_ledger(runtime.means):
            say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check}: {finding.detail}")
            fine = fine and finding.ok
        ledger = await check_entries(runtime.ledger)
    detail = "; ".join(ledger.problems) or f"{ledger.size} entries and {ledger.checkpoints} checkpoints, derived again"
    say(f"{'FAIL' if ledger.problems else 'ok  '} ledger: {detail}")
    return fine and not ledger.problems
