"""`calledger migrate`: bring the database to the newest schema."""

from service.commands.common import Data, run, say, settings_for
from service.storage import address
from service.storage.migrate import migrate as run_migrations


def migrate(data: Data = None) -> None:
    """Bring the database to the newest schema. `serve` does so by itself; run this one first with several hosts."""

    async def work() -> None:
        settings = settings_for(data)
        async with address.database(data=settings.data, database_url=settings.database_url) as url:
            await run_migrations(url)
        say("the database is up to date")

    run(work)
