"""The place of exports in the HTTP application: what writes them, and the routes by which files are
fetched."""

from collections.abc import AsyncIterator

from aiohttp import web

from service.export.download import PATH, Download
from service.export.jobs import ExportWriter
from service.export.statement_download import PATH as STATEMENT_PATH
from service.export.statement_download import StatementDownload
from service.export.store import open_store
from service.runtime.runtime import Runtime
from service.tasks import background


def setup(app: web.Application, runtime: Runtime) -> None:
    """Mount the download, and write exports for as long as the application runs. Raises OperatorError."""
    store = open_store(runtime.settings, runtime.ledger.database_id)
    app.router.add_get(PATH, Download(runtime, store).answer)
    app.router.add_get(STATEMENT_PATH, StatementDownload(runtime).answer)

    async def writing(_: web.Application) -> AsyncIterator[None]:
        """Run the writer of exports for as long as the application runs."""
        async with background([ExportWriter(runtime, store).write_for_ever()]):
            yield

    app.cleanup_ctx.append(writing)
