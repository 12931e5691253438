"""One process of several that answer on one port; `calledger serve --workers` starts it, not a person."""

import os

from service import server
from service.commands.common import run, say, settings_for
from service.commands.options import Data, verb

app = verb()


@app.command(hidden=True)
def work(data: Data = None) -> None:
    """One of several processes that answer; started by `serve --workers`."""
    settings = settings_for(data)
    run(lambda: server.work(settings, os.environ["CALLEDGER_WORKER_URL"], say))
