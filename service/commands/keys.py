"""`calledger keys`: make, list and end API keys."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from policies import Role
from service.access.keys import new_key
from service.commands.common import Data, quiet_runtime, run, say, table
from service.errors import RequestError
from service.runtime import Runtime
from service.storage.models import ApiKey
from service.storage.notices import notify

app = typer.Typer(help="Make, list and end API keys.", no_args_is_help=True)
_DURATION = re.compile(r"(\d{1,5})([hd])")
_PARTNER_DAYS = 90


def parse_duration(text: str) -> timedelta:
    """`30d` or `12h`. Raises RequestError."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise RequestError(f"`{text}` is not a duration: write days or hours, as in `30d` or `12h`")
    return timedelta(days=int(match[1])) if match[2] == "d" else timedelta(hours=int(match[1]))


async def create_key(
    runtime: Runtime, role: Role, *, accounts: list[str], expires: timedelta | None, name: str | None
) -> str:
    """Store a new key and return its text, which is known only now."""
    if role is Role.PARTNER and not accounts:
        raise RequestError("a partner's key is always bound to accounts: add --account NAME")
    if role is Role.PARTNER and expires is None:
        expires = timedelta(days=_PARTNER_DAYS)
    numbers = sorted((await runtime.accounts.ensure(accounts)).values()) if accounts else None
    now = datetime.now(UTC)
    key = new_key(await runtime.keyring.secret("pepper"))
    await ApiKey.create(
        prefix=key.prefix,
        name=name,
        role=role,
        accounts=numbers,
        mac=key.mac,
        created_at=now,
        expires_at=now + expires if expires else None,
    )
    await notify(runtime.database.owner, "keys")
    await notify(runtime.database.owner, "accounts")
    return key.text


@app.command("create")
def create(
    role: Annotated[Role, typer.Option(help="ingest reports calls; the others read.")],
    account: Annotated[list[str] | None, typer.Option(help="Bind to this account; repeat for more.")] = None,
    expires: Annotated[str | None, typer.Option(help="Lifetime, as in `30d` or `12h`; partners get 90d.")] = None,
    name: Annotated[str | None, typer.Option(help="What it is for, for your list of keys.")] = None,
    data: Data = None,
) -> None:
    """Print a new key, alone, on standard output. It cannot be shown again.

    Example: calledger keys create --role ingest --account acme --name gateway-1
    """

    async def work() -> None:
        lifetime = parse_duration(expires) if expires else None
        async with quiet_runtime(data) as runtime:
            say(await create_key(runtime, role, accounts=account or [], expires=lifetime, name=name))

    run(work)


@app.command("list")
def list_keys(data: Data = None) -> None:
    """List keys, without their secrets."""

    async def work() -> None:
        async with quiet_runtime(data) as runtime:
            names = runtime.accounts.names()
            rows = [
                (
                    key.prefix,
                    key.role,
                    "every account" if key.accounts is None else ", ".join(names[number] for number in key.accounts),
                    key.name,
                    key.created_at,
                    key.expires_at,
                    key.last_used_at,
                    "revoked" if key.revoked_at else "live" if _lives(key) else "expired",
                )
                for key in await ApiKey.all().order_by("created_at")
            ]
        table(("id", "role", "accounts", "name", "created", "expires", "last used", "state"), rows)

    run(work)


def _lives(key: ApiKey) -> bool:
    return key.expires_at is None or key.expires_at > datetime.now(UTC)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id in `calledger keys list`.")], data: Data = None
) -> None:
    """End a key, in every running service, now."""

    async def work() -> None:
        async with quiet_runtime(data) as runtime:
            key = await ApiKey.get_or_none(prefix=key_id)
            if key is None:
                raise RequestError(f"no key has the id `{key_id}`: `calledger keys list` shows them")
            if key.revoked_at is None:
                await ApiKey.filter(prefix=key_id).update(revoked_at=datetime.now(UTC))
                await notify(runtime.database.owner, "keys")
        say(f"revoked {key_id}")

    run(work)
