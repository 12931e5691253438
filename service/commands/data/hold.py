"""`calledger hold`: legal holds."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from policies.policy.model import DataClass
from service.api.types.public_ids import decode_id, encode_id
from service.commands.common import in_runtime, progress, say, table
from service.commands.data.export import parse_bound
from service.commands.evidence.ledger import write_lines
from service.commands.options import Data, noun
from service.errors import RequestError
from service.export import HeldRows, held_rows
from service.retention.holds.holds import HOLDABLE, HoldScope, StoredHold, get_hold, lift_hold, page_holds, place_hold
from service.runtime.runtime import Runtime

app = noun("Keep rows past their window for a legal case, and let go of them.")
_LISTED_MAX = 200


def _moment(help_text: str, name: str) -> typer.models.OptionInfo:
    return typer.Option(name, parser=parse_bound, metavar="TIME", help=help_text)


@app.command("place")
def place(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called, such as the case.")],
    account: Annotated[str, typer.Option(metavar="NAME", help="Calls of this account.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; kept as an erasable note of the ledger.")],
    since: Annotated[datetime | None, _moment("Calls that started at this moment or later.", "--since")] = None,
    until: Annotated[datetime | None, _moment("Calls that started before this moment.", "--until")] = None,
    model: Annotated[str | None, typer.Option(help="Calls of this model.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Calls of this key of the gateway.")] = None,
    call: Annotated[list[str] | None, typer.Option(metavar="ID", help="This call; repeat for more.")] = None,
    keep: Annotated[
        list[DataClass] | None, typer.Option("--class", help="A class to keep; repeat for more [default: all].")
    ] = None,
    expires: Annotated[datetime | None, _moment("When it ends by itself.", "--expires")] = None,
    data: Data = None,
) -> None:
    """Place a hold; prints its id. Nothing moves now: a purge copies what the hold names before it destroys the rest.

    \b
    Example: calledger hold place case-17 --account acme --since 2026-01-01 --owner "A. Counsel" --reason "suit 17/26"
    """
    scope = HoldScope(account, since, until, model, api_key, tuple(call) if call else None)

    async def work(runtime: Runtime) -> StoredHold:
        """Place the hold."""
        return await place_hold(
            runtime.retention,
            name=name,
            owner=owner,
            reason=reason,
            scope=scope,
            classes=keep or list(HOLDABLE),
            expires_at=expires,
            actor="cli",
        )

    say(encode_id("hold", in_runtime(data, work).id))


@app.command("lift")
def lift(
    hold_id: Annotated[str, typer.Argument(metavar="ID", help="The id in `calledger hold list`.")],
    reason: Annotated[str, typer.Option(help="Why; kept as an erasable note of the ledger.")],
    data: Data = None,
) -> None:
    """Lift a hold: its key is destroyed at once, and with it what was sealed; its copies are deleted in batches.

    \b
    Example: calledger hold lift hold_... --reason "settled"
    """
    id_ = _id(hold_id)

    async def work(runtime: Runtime) -> StoredHold:
        """Lift the hold."""
        return (await lift_hold(runtime.retention, id_, reason=reason, actor="cli"))[0]

    say(f"lifted; {in_runtime(data, work).copies} copies deleted")


@app.command("export")
def export(
    hold_id: Annotated[str, typer.Argument(metavar="ID", help="The id in `calledger hold list`.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; made anew, readable by you only.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="With what is sealed of errors; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept as an erasable note of the ledger.")] = None,
    data: Data = None,
) -> None:
    """Write the copies that a hold keeps, for the owner of its case: one JSON object per line, calls and then errors.

    What rules found in an error's text stays `[redacted:rule]`, unless --reveal.
    The ledger says that they were exported, and how many, before the first is read.
    Rows within their window are not copied yet, and are in `calledger export`.

    \b
    Example: calledger hold export hold_... case-17.ndjson --reveal --reason "disclosure order of 12 May"
    """
    if reveal and reason is None:
        raise typer.BadParameter("--reveal needs --reason")
    id_ = _id(hold_id)
    written = in_runtime(data, lambda runtime: _export(runtime, id_, file, reveal, reason))
    say(f"{written.calls} calls and {written.errors} errors written to {file}")


async def _export(runtime: Runtime, id_: UUID, file: Path, reveal: bool, reason: str | None) -> HeldRows:
    hold = await get_hold(runtime.database.owner, id_)
    if hold is None:
        raise RequestError("there is no such hold: `calledger hold list` shows them")
    async with (
        runtime.database.owner.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = await held_rows(runtime, connection, hold, reveal=reveal, reason=reason, actor="cli")
        with progress() as bar:
            task = bar.add_task("exporting held rows", total=rows.calls + rows.errors)
            await write_lines(file, rows.lines, lambda: bar.advance(task))
    return rows


def _id(text: str) -> UUID:
    id_ = decode_id("hold", text)
    if id_ is None:
        raise RequestError(f"`{text[:60]}` is not the id of a hold: `calledger hold list` shows them")
    return id_


@app.command("list")
def list_holds(data: Data = None) -> None:
    """List the newest 200 holds, lifted ones included.

    A table on a terminal; in a pipe one line per hold, tab-separated: id, name, owner, account, classes, placed, ends,
    copies, state.

    \b
    Example: calledger hold list
    """
    in_runtime(data, _list)


async def _list(runtime: Runtime) -> None:
    holds, names = await page_holds(runtime.database.owner, _LISTED_MAX), runtime.accounts.names()
    await runtime.accounts.look_up(account_ids={hold.account_id for hold in holds})
    rows = [
        (
            encode_id("hold", hold.id),
            hold.name,
            hold.owner,
            names.get(hold.account_id),
            ", ".join(hold.classes),
            hold.placed_at,
            hold.expires_at,
            hold.copies,
            "lifted" if hold.lifted_at else "in force",
        )
        for hold in holds
    ]
    table(("id", "name", "owner", "account", "classes", "placed", "ends", "copies", "state"), rows)
