"""Options that every command takes. It imports only Typer, so that `--help` answers fast."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

HELP_NAMES: Final = {"help_option_names": ["-h", "--help"]}
_DATA_HELP: Final = "Data directory [env: CALLEDGER_DATA; default: the user's data directory]."

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=_DATA_HELP, show_default=False)]
UnusedData = Annotated[Path | None, typer.Option("--data", metavar="DIR", hidden=True)]
"""For commands that need no data directory, and so that scripts can give it to every command."""

_DURATION: Final = re.compile(r"([0-9]{1,5})([hdw])", re.IGNORECASE)
_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7}
_Choice = TypeVar("_Choice", bound=StrEnum)
_before: ContextVar[Path | None] = ContextVar("data directory before the command", default=None)


def remember_data(data: Path | None) -> None:
    """Remember the `--data` before a command, because the command has one of its own."""
    if data is not None:
        _before.set(data)


def data_given(data: Path | None) -> Path | None:
    """The `--data` nearest to the end of the command line; None without any."""
    return data if data is not None else _before.get()


def noun(help_text: str) -> typer.Typer:
    """An application for the commands of one noun; takes `--data` between noun and verb, too."""
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_NAMES,
    )

    @app.callback(help=help_text)
    def options(data: Data = None) -> None:
        """Accept `--data` between noun and verb."""
        remember_data(data)

    return app


def verb() -> typer.Typer:
    """An application for a command without subcommands."""
    return typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, context_settings=HELP_NAMES
    )


def one_of(choices: type[_Choice]) -> Callable[[str], _Choice]:
    """A parser of an option that takes one of `choices`."""

    def parse(text: str) -> _Choice:
        """The choice of this text. Raises typer.BadParameter."""
        try:
            return choices(text)
        except ValueError:
            raise typer.BadParameter(f"`{text[:40]}` is none of {', '.join(choices)}") from None

    return parse


def parse_duration(text: str) -> timedelta:
    """The duration written as `12h`, `30d` or `8w`. Raises typer.BadParameter."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"`{text[:40]}` is not a duration: write `12h`, `30d` or `8w`")
    return timedelta(hours=int(match[1]) * _HOURS[match[2].lower()])
