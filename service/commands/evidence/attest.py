"""`calledger attest`: the periodic statement of retention."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from service.commands.common import in_runtime, say
from service.commands.evidence.ledger import write_lines
from service.commands.options import Data, verb
from service.retention.audit.attestation import PERIOD_DAYS
from service.retention.audit.attestation import attest as make_attestation
from service.retention.audit.attestation_page import page
from service.runtime.runtime import Runtime

app = verb()


@app.command()
def attest(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The JSON to write, with a page for people next to it.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="Period that the statement looks back on.")] = PERIOD_DAYS,
    full: Annotated[bool, typer.Option("--full", help="Check all partitions and days, as `fsck --full` does.")] = False,
    data: Data = None,
) -> None:
    """Write the periodic statement: what is kept, that nothing older is here, what was destroyed.

    It answers GDPR 5(1)(e) and 30(1)(f), the quarterly check of PCI DSS 3.2.1, and gives SOC 2 auditors the list to
    sample from with a proof for each item. The statement itself goes into the ledger by its digest.
    Its findings of `fsck` say which partitions and days were checked now, and which an earlier run had checked.
    The exit code is 1 when a requirement does not hold; the statement is written all the same, and says so.

    \b
    Example: calledger attest retention-2026-q4.json
    Then:    calledger verify retention-2026-q4.json --key "$(calledger ledger key)"
    """
    if not in_runtime(data, lambda runtime: _attest(runtime, file, days, full)):
        raise typer.Exit(1)


async def _attest(runtime: Runtime, file: Path, days: int, full: bool) -> bool:
    attestation = await make_attestation(
        runtime.retention, runtime.ledger, runtime.applied, days=days, actor="cli", again=True, full=full
    )
    page_file = file.with_suffix(".html")
    if page_file == file:
        page_file = file.with_suffix(".page.html")
    await write_lines(file, _one(json.dumps(attestation, sort_keys=True, indent=1) + "\n"), lambda: None)
    await write_lines(page_file, _one(page(attestation)), lambda: None)
    checks = attestation["statement"]["checks"]
    for one in checks:
        say(f"{'holds' if one['holds'] else 'FAILS'} {one['title']}: {one['finding']}")
    say(f"written to {file} and {page_file}")
    return all(one["holds"] for one in checks)


async def _one(text: str) -> AsyncIterator[bytes]:
    yield text.encode()
