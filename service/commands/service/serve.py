"""`calledger serve`: the service."""

import os
from difflib import get_close_matches
from typing import Annotated, Final

import typer

from service.commands.common import run, say, settings_for
from service.commands.options import Data, verb
from service.logs import get_logger
from service.runtime.runtime import Runtime
from service.server import supervisor as server
from service.settings import PREFIX, Settings

app = verb()
log = get_logger()
# Variables that are no settings: set by `serve` for its workers, by `import` and by the tests.
_NO_SETTINGS: Final = ("CALLEDGER_WORKER_URL", "CALLEDGER_SOURCE_SECRET", "CALLEDGER_TEST_")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one [default: 8790].")
    ] = None,
    data: Data = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that answer on the port [default: 1].")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Load sample calls of the last 30 days into an empty ledger; print keys.")
    ] = False,
) -> None:
    """Run the service.

    Prints `ready http://HOST:PORT` once it accepts requests, and stops on Ctrl-C or SIGTERM after finishing those
    under way.

    With an empty data directory it makes its own PostgreSQL there, and leaves an admin key in DIR/admin.key.
    CALLEDGER_DATABASE_URL names a PostgreSQL (15 or later) to use instead.
    --demo prints a key for each kind of reader, new ones at each start, and refuses a ledger that holds real calls.

    \b
    Example: calledger serve --demo
    Example: calledger serve --data /var/lib/calledger --host 127.0.0.1 --port 8790 --workers 2
    """
    settings = settings_for(data, host=host, port=port, workers=workers)
    _warn_of_unknown_settings()
    run(lambda: server.serve(settings, say, _load_demo if demo else None), serving=True)


async def _load_demo(runtime: Runtime) -> None:
    # Imported here, so that a service without a demo need not load it.
    from service.commands.service.demo import load_demo

    await load_demo(runtime)


def _warn_of_unknown_settings() -> None:
    """Log settings of unknown names: a mistyped one would otherwise silently have its default."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_NO_SETTINGS):
            log.warning("an unknown setting is ignored", name=name, perhaps=get_close_matches(name, known, 1))
