"""`calledger keys`: make, list and end API keys."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from policies import Role
from policies.evidence import moment
from policies.redaction import RedactionError, Redactor
from service.access.keys import mac_digest, new_key
from service.commands.common import quiet_runtime, run, say, table
from service.commands.options import Data, noun, one_of
from service.errors import RequestError
from service.ledger import KeyRegister, LedgerKind
from service.log_redaction import without_secrets
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import KeyRecord, added_key, get_key, revoked_key
from service.storage.control.api_keys import list_keys as all_keys
from service.storage.notices import notify

app = noun("Make, list and end API keys.")
NAME_CHARS_MAX: Final = 200
PARTNER_DAYS: Final = 90
_HARMLESS: Final = re.compile(r"[\w .-]{1,20}")
_DURATION: Final = re.compile(r"([0-9]{1,5})([hdw])", re.IGNORECASE)
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7}


def parse_duration(text: str) -> timedelta:
    """The duration written as `12h`, `30d` or `8w`. Raises typer.BadParameter."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"`{text[:40]}` is not a duration: write `12h`, `30d` or `8w`")
    return timedelta(hours=int(match[1]) * _HOURS[match[2].lower()])


def check_account(name: str) -> None:
    """Raise RequestError for a name that no report could use: admission accepts only such account names."""
    try:
        cleaned, _ = Redactor().for_identifiers().clean(name, max_chars=NAME_CHARS_MAX)
    except RedactionError:
        cleaned = ""
    if not name or cleaned != name:
        raise RequestError(
            f"an account cannot be called {_quoted(name)}: a name is one printable line of at most {NAME_CHARS_MAX} "
            "characters that has not the format of a credential and holds no e-mail address"
        )


def _quoted(name: str) -> str:
    """The name only if it is harmless to repeat: a refused name may be a secret."""
    return f"`{name}`" if _HARMLESS.fullmatch(name) else "that"


async def create_key(
    runtime: Runtime, role: Role, *, accounts: list[str], expires: timedelta | None, name: str | None
) -> str:
    """Store a new key and return its text, which is known only now. A partner's key always has accounts and an end."""
    if role is Role.PARTNER and not accounts:
        raise RequestError("a partner's key is always bound to accounts: add --account NAME")
    if role is Role.PARTNER and expires is None:
        expires = timedelta(days=PARTNER_DAYS)
    for account in accounts:
        check_account(account)
    account_ids = sorted((await runtime.accounts.ensure(accounts)).values()) if accounts else None
    now = datetime.now(UTC)
    name = without_secrets(name) if name else name
    key = new_key(await runtime.keyring.secret("pepper"))
    ends = now + expires if expires else None
    async with added_key(
        prefix=key.prefix, name=name, role=role, accounts=account_ids, mac=key.mac, created_at=now, expires_at=ends
    ) as connection:
        facts = {
            "key": key.prefix,
            "role": role.value,
            "accounts": account_ids,
            "expires_at": ends and moment(ends),
            "mac": mac_digest(key.mac),
        }
        await runtime.ledger.append(
            LedgerKind.API_KEY_CREATED, facts, actor="cli", note=name or None, connection=connection
        )
    await notify(runtime.database.owner, "keys")
    return key.text


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

    async def work() -> None:
        """Create the key, and print it."""
        async with quiet_runtime(data, existing=False) as runtime:
            say(await create_key(runtime, role, accounts=account or [], expires=expires, name=name))

    run(work)


@app.command("list")
def list_keys(data: Data = None) -> None:
    """List keys, without their secrets.

    A table on a terminal; in a pipe one line per key, tab-separated: id, role, accounts, name, created, expires, last
    used, state. Services act by this state: `refused` is a key that is live in the table and not in the ledger.

    \b
    Example: calledger keys list | grep live
    """
    run(lambda: _list(data))


async def _list(data: Path | None) -> None:
    async with quiet_runtime(data) as runtime:
        names, register = runtime.accounts.names(), KeyRegister(runtime.ledger)
        rows = [
            (
                key.prefix,
                key.role,
                "every account"
                if key.accounts is None
                else ", ".join(names[account_id] for account_id in key.accounts),
                key.name,
                key.created_at,
                key.expires_at,
                key.last_used_at,
                await _state(key, register),
            )
            for key in await all_keys()
        ]
    table(("id", "role", "accounts", "name", "created", "expires", "last used", "state"), rows)


async def _state(key: KeyRecord, register: KeyRegister) -> str:
    if key.revoked_at:
        return "revoked"
    # A key that is live in the table alone is refused, such as a revoked one that a restore brought back.
    recorded = await register.find(key.prefix)
    if recorded is None:
        return "refused: in no entry of the ledger"
    if recorded.ended is not None:
        return f"refused: revoked by entry {recorded.ended}"
    if recorded.mac not in (None, mac_digest(key.mac)):
        return "refused: another key than in the ledger"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "live"


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
    run(lambda: _revoke(key_id, data))


async def revoke_key(runtime: Runtime, key_id: str) -> None:
    """Revoke a key, with its entry in the ledger, in every running service."""
    async with revoked_key(key_id, datetime.now(UTC)) as connection:
        await runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": key_id}, actor="cli", connection=connection)
    await notify(runtime.database.owner, "keys")


async def _revoke(key_id: str, data: Path | None) -> None:
    if key_id.startswith("cl_"):
        raise RequestError("that is a key, or its beginning: give only its id, the eight characters after `cl_`")
    async with quiet_runtime(data) as runtime:
        key = await get_key(key_id)
        if key is None:
            raise RequestError(f"no key has the id `{key_id[:40]}`: `calledger keys list` shows them")
        recorded = await KeyRegister(runtime.ledger).find(key_id)
        # A key that was revoked in the table alone is revoked in the ledger too, because only that is for good.
        if key.revoked_at is None or (recorded is not None and recorded.ended is None):
            await revoke_key(runtime, key_id)
    say(f"revoked {key_id}")
