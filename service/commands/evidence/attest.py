"""`calledger attest`: the periodic statement of retention."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from service.commands.common import in_runtime, say
from service.commands.evidence.ledger import write_lines
from service.commands.options import Data, verb
from service.retention.audit.attestation.making import MadeAttestation, attest_queued
from service.retention.audit.attestation.making import attest as make_attestation
from service.retention.audit.attestation.page import page
from service.retention.audit.attestation.proofs import attestation_lines, covering_checkpoint
from service.retention.audit.attestation.statement import PERIOD_DAYS, PERIOD_DAYS_MAX, unmet
from service.runtime.runtime import Runtime

app = verb()
_QUEUED = typer.Option("--queued", hidden=True, help="Make the statement of this id, which a key has asked for.")


@app.command()
def attest(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="JSON to write, with a page for people next to it.", show_default=False),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=PERIOD_DAYS_MAX, help="Period that the statement looks back on.")
    ] = PERIOD_DAYS,
    full: Annotated[bool, typer.Option("--full", help="Check all partitions and days, as `fsck --full` does.")] = False,
    queued: Annotated[UUID | None, _QUEUED] = None,
    data: Data = None,
) -> None:
    """Make the periodic statement: what is kept, that nothing older is here, what was destroyed.

    It answers GDPR 5(1)(e) and 30(1)(f), the quarterly check of PCI DSS 3.2.1, and gives SOC 2 auditors the list to
    sample from with a proof for each item. The statement itself goes into the ledger by its digest, and is stored for
    400 days: auditors find it in `attestations` and in the console, with or without FILE.
    Its findings of `fsck` say which partitions and days were checked now, and which an earlier run had checked.
    The exit code is 1 when a requirement does not hold; the statement is made all the same, and says so.

    \b
    Example: calledger attest retention-2026-q4.json
    Then:    calledger verify retention-2026-q4.json --key "$(calledger ledger key)"
    """
    if not in_runtime(data, lambda runtime: _attest(runtime, file, days, full, queued)):
        raise typer.Exit(1)


async def _attest(runtime: Runtime, file: Path | None, days: int, full: bool, queued: UUID | None) -> bool:
    given = runtime.retention, runtime.ledger, runtime.applied
    if queued is not None:
        made = await attest_queued(*given, queued)
    else:
        made = await make_attestation(*given, days=days, again=True, full=full)
    written = None if file is None else await _write(runtime, file, made)
    for one in made.statement["checks"]:
        say(f"{'holds' if one['holds'] else 'FAILS'} {one['title']}: {one['finding']}")
    say(f"stored as entry {made.index} of the ledger" + (f", and written to {file} and {written}" if written else ""))
    return unmet(made.statement) == 0


async def _write(runtime: Runtime, file: Path, made: MadeAttestation) -> Path:
    """Write the statement, and its page, whose path is returned."""
    page_file = file.with_suffix(".html")
    if page_file == file:
        page_file = file.with_suffix(".page.html")
    issued = await covering_checkpoint(runtime.ledger, made.index)
    lines = attestation_lines(runtime.ledger, issued, made.statement, made.index)
    await write_lines(file, lines, lambda: None)
    evidence = {"checkpoint": issued.note, "key": issued.public_key, "statement": {"index": made.index}}
    await write_lines(page_file, _one(page({"statement": made.statement, "evidence": evidence})), lambda: None)
    return page_file


async def _one(text: str) -> AsyncIterator[bytes]:
    yield text.encode()
