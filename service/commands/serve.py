"""`calledger serve`: the service."""

import os
from typing import Annotated

import typer

from service import server
from service.commands.common import Data, run, say, settings_for
from service.commands.demo import load_demo


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [default: 8790].")] = None,
    data: Data = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port [default: 1].")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Load sample calls of the last 30 days, print keys.")] = False,
) -> None:
    """Run the service; prints `ready http://HOST:PORT` once it accepts requests.

    With an empty data directory it makes its own PostgreSQL there, and writes an admin key to DIR/admin.key.
    CALLEDGER_DATABASE_URL names a PostgreSQL (15 or later) to use instead.
    """
    settings = settings_for(data, host=host, port=port, workers=workers)
    run(lambda: server.serve(settings, say, load_demo if demo else None))


def work(data: Data = None) -> None:
    """One of several processes that answer; started by `serve --workers`."""
    settings = settings_for(data)
    run(lambda: server.work(settings, os.environ["CALLEDGER_WORKER_URL"], say))
