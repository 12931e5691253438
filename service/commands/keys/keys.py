"""`calledger keys`: make, list and end API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from policies import Role
from service.access.issuing import NAME_CHARS_MAX, OVERLAP_MAX, PARTNER_DAYS
from service.access.key_state import CheckedKey, KeyState
from service.commands.common import in_runtime, say, table
from service.commands.options import Data, noun, one_of, parse_duration
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import list_keys as all_keys

app = noun("Make, list and end API keys.")


def _checked_name(name: str | None) -> str | None:
    if name is not None and (not name.isprintable() or not 0 < len(name.strip()) <= NAME_CHARS_MAX):
        raise typer.BadParameter(f"a name is one printable line of at most {NAME_CHARS_MAX} characters")
    return name


@app.command("create")
def create(
    role: Annotated[
        Role,
        typer.Option(
            parser=one_of(Role),
            metavar="ROLE",
            help="What it may do. ingest: report calls, read nothing. viewer: read calls and costs. partner: the same "
            "of its own accounts. support: read, and ask for details of errors. auditor: see policy and retention, no "
            "calls. compliance: holds and purges, no calls. admin: everything.",
        ),
    ],
    account: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Bind the key to this account; repeat for more. An account that is new is made."
        ),
    ] = None,
    expires: Annotated[
        timedelta | None,
        typer.Option(
            parser=parse_duration,
            metavar="SPAN",
            help=f"Lifetime: `12h`, `30d`, `8w` [default: for ever; a partner's: {PARTNER_DAYS}d].",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", callback=_checked_name, help="What it is for, in `keys list`.")
    ] = None,
    data: Data = None,
) -> None:
    """Print a new key, alone, on standard output.

    It is shown this once: the ledger keeps only what it needs to recognise it.
    A key without --account works for every account; a partner's key always needs one.
    Running services know the key at once.

    \b
    Example: calledger keys create --role ingest --account acme --name gateway-1
    """
    if role is Role.PARTNER and not account:
        raise typer.BadParameter("a partner's key is always bound to accounts: add --account NAME")

    async def work(runtime: Runtime) -> None:
        """Create the key, and print it."""
        ends = datetime.now(UTC) + expires if expires else None
        say((await runtime.api_keys.create(role, accounts=account or None, expires_at=ends, name=name)).text)

    in_runtime(data, work, existing=False)


@app.command("list")
def list_keys(data: Data = None) -> None:
    """List keys, without their secrets.

    A table on a terminal; in a pipe one line per key, tab-separated: id, role, accounts, name, created, expires, last
    used, state. Services act by this state: `refused` is a key that is live in the table and not in the ledger.

    \b
    Example: calledger keys list | grep live
    """
    in_runtime(data, _list)


async def _list(runtime: Runtime) -> None:
    names, keys = runtime.accounts.names(), await all_keys()
    await runtime.accounts.look_up(account_ids={number for key in keys for number in key.accounts or ()})
    rows = [
        (
            key.prefix,
            key.role,
            "every account" if key.accounts is None else ", ".join(names[account_id] for account_id in key.accounts),
            key.name,
            key.created_at,
            key.expires_at,
            key.last_used_at,
            _state(known),
        )
        for key, known in zip(keys, await runtime.api_keys.checked(keys), strict=True)
    ]
    table(("id", "role", "accounts", "name", "created", "expires", "last used", "state"), rows)


def _state(known: CheckedKey) -> str:
    # A key that is live in the table alone is refused, such as a revoked one that a restore brought back.
    return f"{known.state}: {known.reason}" if known.state is KeyState.REFUSED else known.state.value


@app.command("rotate")
def rotate(
    key_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The id in `calledger keys list`: the eight characters after `cl_`."),
    ],
    overlap: Annotated[
        timedelta,
        typer.Option(
            parser=parse_duration,
            metavar="SPAN",
            help=f"How long the old key still works: `12h`, `7d`, at most `{OVERLAP_MAX.days}d`.",
        ),
    ] = timedelta(days=1),
    data: Data = None,
) -> None:
    """Print a new key that takes the place of a live one, alone, on standard output.

    It has the role, accounts and name of the old one, and as long a life if that has an end.
    The old key ends by itself after the overlap, in every running service.

    \b
    Example: calledger keys rotate k7m2xq9p --overlap 7d
    """

    async def work(runtime: Runtime) -> None:
        """Make the successor, and print it."""
        issued, _ = await runtime.api_keys.rotate(key_id, overlap=overlap)
        say(issued.text)

    in_runtime(data, work)


@app.command("revoke")
def revoke(
    key_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The id in `calledger keys list`: the eight characters after `cl_`."),
    ],
    data: Data = None,
) -> None:
    """End a key for good, in every running service at once.

    \b
    Example: calledger keys revoke k7m2xq9p
    """
    in_runtime(data, lambda runtime: _revoke(runtime, key_id))


async def _revoke(runtime: Runtime, key_id: str) -> None:
    await runtime.api_keys.revoke(key_id)
    say(f"revoked {key_id}")
