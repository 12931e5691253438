"""`calledger migrate`: bring the database to the newest schema, and its privileges to what they have to be."""

from pathlib import Path

from service.commands.common import run, say, settings_for
from service.commands.options import Data, verb
from service.storage.embedded import connection as address
from service.storage.schema.migrate import migrate as run_migrations

app = verb()


@app.command()
def migrate(data: Data = None) -> None:
    """Bring the database to the newest schema, with its privileges and row-level security.

    It reports what somebody had changed of those, and puts it right.
    `serve` and every other command migrate by themselves; where several hosts share a database, run this one first.
    Two at once wait for each other, and the second finds nothing to do.

    \b
    Example: CALLEDGER_DATABASE_URL=postgresql://owner@db/calledger calledger migrate
    """
    run(lambda: _migrate(data))


async def _migrate(data: Path | None) -> None:
    settings = settings_for(data)
    async with address.database(data=settings.data, database_url=settings.database_url) as url:
        repaired = await run_migrations(url, repair=True)
    for one in repaired:
        say(f"put right: {one}")
    say("the database is up to date")
