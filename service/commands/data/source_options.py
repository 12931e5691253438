"""Arguments and options that say where rows come from, and what they mean."""

import dataclasses
import os
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from service.commands.options import one_of
from service.imports.formats import FORMATS, ImportFormat, ImportOptions
from service.ingest.formats.native.fields import CURRENCY

_CURRENCY: Final = re.compile(CURRENCY)


class AccountBy(StrEnum):
    """The columns that may name a call's account."""

    USERNAME = "username"
    GROUP = "group"
    TOKEN_NAME = "token_name"  # noqa: S105 - a column


SECRET: Final = "CALLEDGER_SOURCE_SECRET"  # noqa: S105 - the name of a variable
_SECRET_BYTES_MAX: Final = 4096
_FORMATS: Final = "; ".join(f"{name}: {form.help}" for name, form in FORMATS.items())


def _format(name: str) -> str:
    if name not in FORMATS:
        raise typer.BadParameter(f"`{name[:40]}` is none of {', '.join(FORMATS)}")
    return name


def _positive(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not (number.is_finite() and 0 < number < 10**12):
        raise typer.BadParameter(f"`{text[:40]}` is not a number above zero")
    return number


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise typer.BadParameter(f"`{text[:40]}` is not a code of 3 to 16 letters, such as `USD`")
    return text.upper()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and len(text) != len("2026-11-01")):
        raise typer.BadParameter(f"`{text[:40]}` is neither a day such as 2026-11-01 nor RFC 3339 with an offset")
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def source_secret(file: Path | None) -> str | None:
    """The password or token of a source, which no command line shows: from a file, or from the environment."""
    if file is None:
        return os.environ.get(SECRET) or None
    with file.open("rb") as opened:
        return opened.read(_SECRET_BYTES_MAX).decode("utf-8", "replace").strip() or None


def refuse_options(form: ImportFormat, name: str, options: ImportOptions) -> None:
    """Raise typer.BadParameter for an option that this format has no use for."""
    for field in dataclasses.fields(options):
        if getattr(options, field.name) is not None and field.name not in form.options:
            raise typer.BadParameter(f"--{field.name.replace('_', '-')} means nothing for `{name}`")


FormatArgument = Annotated[str, typer.Argument(metavar="FORMAT", callback=_format, help=f"{_FORMATS}.")]
Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account of all calls; one that is new is made.")
]
QuotaPerUnit = Annotated[
    Decimal | None,
    typer.Option(parser=_positive, metavar="N", help="new-api, one-api: quota that is 1 USD [default: 500000]."),
]
Currency = Annotated[
    str | None, typer.Option(parser=_currency, metavar="CODE", help="new-api, one-api: what quota is [default: USD].")
]
AccountColumn = Annotated[
    AccountBy | None,
    typer.Option(
        "--account-by",
        parser=one_of(AccountBy),
        metavar="COLUMN",
        help="new-api, one-api: username, group or token_name is the account.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"A file that holds the password or the token of the source, and nothing else [env: {SECRET}, the secret "
        "itself].",
    ),
]
UserId = Annotated[
    str | None, typer.Option(metavar="N", help="new-api over HTTP: the number of the user whose token it is.")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=_moment,
        metavar="MOMENT",
        help="Only calls that began then or later: a day of UTC such as 2026-11-01, or RFC 3339 with an offset.",
    ),
]
