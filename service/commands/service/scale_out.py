"""`calledger scale-out`: from one machine to several."""

from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from service.commands.common import run, say, settings_for, table
from service.commands.options import Data, noun
from service.errors import OperatorError
from service.storage.citus.distribution import (
    NOT_THERE,
    SHARDS,
    Distribution,
    distribute,
    plan,
    refuse_finished,
    refuse_unreachable,
)
from service.storage.embedded import connection as address

app = noun("Spread the ledger over several machines.")
_SHARDS_MAX = 128


@app.command("citus")
def citus(
    shards: Annotated[
        int, typer.Option(min=1, max=_SHARDS_MAX, help="Into how many parts each table is cut.", show_default=True)
    ] = SHARDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    data: Data = None,
) -> None:
    """Distribute calls, errors and held copies over the workers of a Citus cluster, by account.

    CALLEDGER_DATABASE_URL names the coordinator, where Citus 13 is installed and the workers are added, or a worker.
    Sums, the feed, keys, policies and the ledger stay on the coordinator; holds are on every node.
    Each table moves in one transaction, and takes no rows meanwhile: stop the service first, start it afterwards.
    One that is started before the end waits for it.
    What was interrupted goes on when it is run again. One account is always on one worker.
    docs/scale.md has the roles that must log in there, what it costs, and when it is worth it.

    \b
    Example: calledger scale-out citus --dry-run
             calledger scale-out citus --shards 16
    """
    run(lambda: _citus(data, shards, dry_run=dry_run))


async def _citus(data: Path | None, shards: int, *, dry_run: bool) -> None:
    settings = settings_for(data)
    if settings.database_url is None:
        raise OperatorError(
            "the embedded PostgreSQL is one machine: set CALLEDGER_DATABASE_URL to the coordinator of a Citus cluster, "
            "and restore a dump of this ledger there (docs/scale.md)"
        )
    async with address.database(data=settings.data, database_url=settings.database_url) as url:
        if dry_run:
            planned = await _planned(url, shards)
            _show(planned, "would be moved")
            if planned.is_new:
                say("there is no ledger in this database yet: its tables would be made, and all distributed empty")
            say(f"not there on Citus: {NOT_THERE}; docs/scale.md says more")
            return
        _show(await distribute(url, shards=shards), "moved")
    say("done: start the service again; `calledger status` proves that accounts are kept apart on the workers")


async def _planned(url: str, shards: int) -> Distribution:
    connection = await asyncpg.connect(url)
    try:
        planned = await plan(connection, shards)
        refuse_finished(planned)
        await refuse_unreachable(connection)
        return planned
    finally:
        await connection.close()


def _show(planned: Distribution, what: str) -> None:
    say(f"Citus {planned.version}, {planned.shards} shards on {', '.join(planned.workers)}")
    table(
        ("table", what, "rows", "bytes"),
        [(step.table, step.kind, step.rows, step.size_bytes) for step in planned.steps],
    )
