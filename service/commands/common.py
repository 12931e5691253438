"""What all commands share: the --data option, how they run, how they print."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from service.logs import configure_logs
from service.runtime import Runtime, open_runtime
from service.settings import Settings, load_settings

T = TypeVar("T")

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data directory [env: CALLEDGER_DATA; default: the user's data directory].", metavar="DIR"
    ),
]


def settings_for(data: Path | None, **overrides: object) -> Settings:
    """Settings from the environment and the command line, with logging set up; relative folders become absolute."""
    settings = load_settings(data=data, **overrides)
    settings = settings.model_copy(update={"data": settings.data.expanduser().absolute()})
    configure_logs(level=settings.log_level, form=settings.log_format)
    return settings


@asynccontextmanager
async def quiet_runtime(data: Path | None) -> AsyncIterator[Runtime]:
    """The runtime for a command: the running database or one started for it, logging warnings only."""
    settings = settings_for(data)
    configure_logs(level="warning", form=settings.log_format)
    async with open_runtime(settings) as runtime:
        yield runtime


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a command's coroutine; Ctrl-C ends it with exit code 130 and no traceback."""

    async def awaited() -> T:
        return await work()

    try:
        return asyncio.run(awaited())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def say(line: str) -> None:
    """One line of output, unbroken whatever the terminal's width."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; tab-separated lines in a pipe, without headings, for other programs."""
    if not sys.stdout.isatty():
        for row in rows:
            say("\t".join(_cell(value) for value in row))
        return
    drawn = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    Console().print(drawn, markup=False)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}"
    return str(value)
