"""One of several processes that answer on one port; `calledger serve --workers` starts it."""

import os

import typer

from service.commands.common import run, say, settings_for
from service.commands.options import Data, verb
from service.server import supervisor as server

app = verb()


@app.command(hidden=True)
def work(data: Data = None) -> None:
    """One of several processes that answer; started by `serve --workers`."""
    url = os.environ.get("CALLEDGER_WORKER_URL")
    if url is None:
        raise typer.BadParameter("only `calledger serve --workers` can start this")
    settings = settings_for(data)
    run(lambda: server.work(settings, url, say), serving=True)
