"""`calledger sources`: gateways whose logs the service pulls."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from service.access.issuing import check_account
from service.commands.common import in_runtime, say, table
from service.commands.data.source_options import (
    Account,
    AccountColumn,
    Currency,
    FormatArgument,
    QuotaPerUnit,
    SecretFile,
    UserId,
    refuse_options,
    source_secret,
)
from service.commands.options import Data, noun
from service.errors import RequestError
from service.imports.addresses import open_pullable
from service.imports.formats import FORMATS, ImportOptions
from service.imports.registry import AskedSource, add_source, remove_source
from service.imports.sealing import SealedAddress
from service.log_redaction import guarded
from service.runtime.runtime import Runtime
from service.storage.gateways.pull_sources import all_sources

app = noun("Gateways whose logs the service pulls.")

_NAME_CHARACTERS_MAX: Final = 100
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_EVERY_MIN_S: Final = 10
_EVERY_MAX_S: Final = 7 * 86_400


def _every(text: str) -> int:
    number, unit = text[:-1], text[-1:].lower()
    if not (number.isascii() and number.isdecimal() and len(number) < 7 and unit in _SECONDS):
        raise typer.BadParameter(f"`{text[:40]}` is not a span: write `30s`, `5m` or `1h`")
    seconds = int(number) * _SECONDS[unit]
    if not _EVERY_MIN_S <= seconds <= _EVERY_MAX_S:
        raise typer.BadParameter("a source is read every 10 seconds to every 7 days")
    return seconds


def _name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text.strip()) <= _NAME_CHARACTERS_MAX or guarded(text) != text:
        raise typer.BadParameter(
            f"a name is one printable line of at most {_NAME_CHARACTERS_MAX} characters, no secret"
        )
    return text


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", callback=_name, help="What it is called here.")],
    form: FormatArgument,
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS", help="As of `calledger import`, but a file: a database, or a gateway's own address."
        ),
    ],
    every: Annotated[int, typer.Option(parser=_every, metavar="SPAN", help="How often it is read.")] = "1m",  # pyright: ignore[reportArgumentType] - parsed
    account: Account = None,
    quota_per_unit: QuotaPerUnit = None,
    currency: Currency = None,
    account_by: AccountColumn = None,
    secret_file: SecretFile = None,
    user_id: UserId = None,
    data: Data = None,
) -> None:
    """Have a gateway's log pulled from now on, its history first. Address and secret are sealed under the keyring.

    \b
    Example: calledger sources add shop new-api https://gateway.internal --secret-file token.txt --user-id 1
    Example: calledger sources add shop new-api postgresql://reader@db.internal/newapi --secret-file password.txt
    """
    found, options = FORMATS[form], ImportOptions(quota_per_unit, currency, account_by)
    refuse_options(found, form, options)
    where = SealedAddress(address, source_secret(secret_file), user_id)
    open_pullable(found, where.address, where.secret, where.user)
    if account is not None:
        check_account(account)

    said = {name: str(value) for name, value in asdict(options).items() if value is not None}
    asked = AskedSource(name, form, where, account, said, every)
    in_runtime(data, lambda runtime: add_source(runtime, asked))


@app.command("list")
def list_sources(data: Data = None) -> None:
    """List sources: how far each was read, and why one cannot be.

    A table on a terminal; in a pipe a line per source, tab-separated.

    \b
    Example: calledger sources list
    """
    in_runtime(data, _list)


async def _list(runtime: Runtime) -> None:
    now = datetime.now(UTC)
    headings = ("name", "format", "address", "account", "rows", "last call", "read", "lag", "failures", "why")
    sources, names = await all_sources(runtime.database.owner), runtime.accounts.names()
    await runtime.accounts.look_up(account_ids={source.account_id for source in sources if source.account_id})
    table(
        headings,
        [
            (
                source.name,
                source.format,
                source.shown_address,
                None if source.account_id is None else names[source.account_id],
                source.rows,
                source.last_row_at,
                source.read_at,
                _lag(now, source.read_at),
                source.failures,
                source.failure,
            )
            for source in sources
        ],
    )


def _lag(now: datetime, read_at: datetime | None) -> str | None:
    return None if read_at is None else str(timedelta(seconds=max(0, round((now - read_at).total_seconds()))))


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name in `calledger sources list`.")],
    data: Data = None,
) -> None:
    """Pull a gateway's log no more, and forget its secret. Calls that it brought stay.

    \b
    Example: calledger sources remove shop
    """

    async def work(runtime: Runtime) -> None:
        """Remove the source."""
        if not await remove_source(runtime, name):
            raise RequestError(f"there is no source `{name[:60]}`: `calledger sources list` shows them")

    in_runtime(data, work)
    say(f"removed `{name}`")
