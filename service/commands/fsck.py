"""`calledger fsck`: prove that the ledger is what it says."""

import sys

import typer

from service.commands.common import Data, quiet_runtime, run, say
from service.retention.fsck import check_ledger


def fsck(data: Data = None) -> None:
    """Prove that sums equal calls, that nothing is past its deadline, and that what is sealed has its key.

    Prints a line a check; exit code 1 when one fails. Changes nothing, and may run beside the service.
    """

    async def work() -> bool:
        fine = True
        async with quiet_runtime(data) as runtime:
            findings = check_ledger(runtime.database, runtime.partitions, runtime.keyring, runtime.applied.policy)
            async for finding in findings:
                say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check}: {finding.detail}")
                fine = fine and finding.ok
        return fine

    if not run(work):
        sys.stdout.flush()
        raise typer.Exit(1)
