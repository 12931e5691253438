"""What commands share: how they find their settings and their ledger, how they run, how they print."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tortoise.exceptions import BaseORMException

from service.commands.options import data_given
from service.errors import ServiceError
from service.logs import configure_logs
from service.runtime.runtime import Runtime, open_runtime
from service.settings import Settings, load_settings
from service.storage.errors import DatabaseUnavailableError

T = TypeVar("T")

_UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)


def settings_for(data: Path | None, **overrides: object) -> Settings:
    """The settings of the environment and the command line, with logging set up; relative paths become absolute."""
    settings = load_settings(data=data_given(data), **overrides)
    settings = settings.model_copy(update={"data": settings.data.expanduser().absolute()})
    configure_logs(level=settings.log_level, form=settings.log_format)
    return settings


@asynccontextmanager
async def quiet_runtime(data: Path | None, *, existing: bool = True) -> AsyncIterator[Runtime]:
    """The runtime for a command: the running database or one started for it, logging warnings only.

    `existing`: refuse where there is no ledger yet, because a mistyped path must not become one.
    """
    settings = settings_for(data)
    if existing:
        # A command acts under the policy in force. Only `serve` refuses a policy file that differs, because a command
        # must still be able to put it in force.
        settings = settings.model_copy(update={"policy": None})
    if "log_level" not in settings.model_fields_set:
        configure_logs(level="warning", form=settings.log_format)
    async with open_runtime(settings, existing=existing) as runtime:
        yield runtime


def _serving_loop() -> asyncio.AbstractEventLoop:
    # Imported here, so that other commands need not load it.
    import uvloop

    return uvloop.new_event_loop()


def run(work: Callable[[], Awaitable[T]], *, serving: bool = False) -> T:
    """Run a command's coroutine; Ctrl-C ends it with exit code 130 and no traceback.

    `serving`: on uvloop, which spends less on each request than asyncio's own loop. Raises DatabaseUnavailableError
    when the database stopped answering meanwhile, ServiceError when it refused a statement.
    """

    async def awaited() -> T:
        """Await the command's work, as the coroutine that the runner needs."""
        return await work()

    try:
        with asyncio.Runner(loop_factory=_serving_loop if serving else None) as runner:
            return runner.run(awaited())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise
    except _UNAVAILABLE as error:
        raise DatabaseUnavailableError(
            f"the database went away in the middle of this ({type(error).__name__}); try again"
        ) from error
    except (asyncpg.PostgresError, BaseORMException) as error:
        raise ServiceError(
            f"the database refused a statement ({type(error).__name__}); its log may say more, and `calledger status` "
            "which of its protections are missing"
        ) from error


def in_runtime(data: Path | None, work: Callable[[Runtime], Awaitable[T]], *, existing: bool = True) -> T:
    """Run a command's coroutine with the runtime of `quiet_runtime`, as `run` does."""

    async def with_runtime() -> T:
        """Open the runtime, and do the command's work with it."""
        async with quiet_runtime(data, existing=existing) as runtime:
            return await work(runtime)

    return run(with_runtime)


def say(line: str) -> None:
    """Write one line of output, unbroken whatever the terminal's width."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def progress() -> Progress:
    """A bar on standard error for long work; nothing in a pipe."""
    return Progress(transient=True, console=Console(stderr=True), disable=not sys.stderr.isatty())


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on a terminal; tab-separated lines in a pipe, without headings, for other programs."""
    if not sys.stdout.isatty():
        for row in rows:
            say("\t".join(_cell(value) for value in row))
        return
    drawn = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    Console().print(drawn, markup=False)


def _cell(value: object) -> str:
    """A value in one cell of one line, without control characters: a name can be anything."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return "".join(char if char.isprintable() else "?" for char in str(value))
