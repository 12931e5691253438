"""`calledger erase`: one person's data, or one account's."""

from typing import Annotated

import typer

from service.api.types.public_ids import encode_id
from service.commands.common import in_runtime, say
from service.commands.options import Data, verb
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind, StoredErasure
from service.runtime.runtime import Runtime

app = verb()


@app.command()
def erase(
    account: Annotated[str, typer.Option(metavar="NAME", help="The account.")],
    reason: Annotated[str, typer.Option(help="Why; kept as an erasable note of the ledger.")],
    user: Annotated[str | None, typer.Option(metavar="ID", help="The person's id, as the gateway reports it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the account, its name and its key too.")] = False,
    data: Data = None,
) -> None:
    """Erase one person's or one account's data (GDPR, article 17): live rows now, copies by their keys.

    Says what is left to do. What a legal hold keeps is from now on in its own export alone, and goes by itself when
    the hold ends.

    \b
    Examples: calledger erase --account acme --user u-17 --reason "asked by letter"
              calledger erase --account acme --all --reason "contract ended"
    """
    if everything == (user is not None):
        raise typer.BadParameter("give either --user ID or --all")
    if user is not None and not user:
        raise typer.BadParameter("--user is empty: give the person's id, or --all for the whole account")

    async def work(runtime: Runtime) -> StoredErasure:
        """Request the erasure, and carry it out."""
        return await request_erasure(
            runtime.retention,
            kind=ErasureKind.ACCOUNT if everything else ErasureKind.USER,
            account=account,
            user=user,
            reason=reason,
            actor="cli",
        )

    for line in _lines(in_runtime(data, work)):
        say(line)


def _lines(erasure: StoredErasure) -> list[str]:
    lines = [f"{erasure.rows} rows erased" + ("" if erasure.finished_at else ", not all")]
    kept = "for its export alone: goes when the hold ends"
    lines += [f"kept by {encode_id('hold', hold)}, {kept}" for hold in erasure.blocked_by]
    if erasure.unreadable_at is not None:
        lines.append(f"copies in backups cannot be opened from {erasure.unreadable_at:%Y-%m-%d %H:%M} UTC on")
    if erasure.kind is ErasureKind.USER:
        lines.append("pseudonyms whose key is destroyed already are not found: nobody can tell whose they were")
    else:
        lines.append("what lay in clear stays in the database's own backups until you delete those")
    return lines
