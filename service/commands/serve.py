"""`calledger serve`: the service."""

from typing import Annotated

import typer

from service import server
from service.commands.common import run, say, settings_for
from service.commands.demo import load_demo
from service.commands.options import Data, verb

app = verb()


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
    run(lambda: server.serve(settings, say, load_demo if demo else None))
