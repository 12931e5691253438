"""The place of pulling in the HTTP application: sources are pulled for as long as it runs."""

from collections.abc import AsyncIterator

from aiohttp import web

from service.imports.pull import Puller
from service.ingest.setup import ways_in
from service.runtime.runtime import Runtime
from service.tasks import background


def setup(app: web.Application, runtime: Runtime) -> None:
    """Pull sources for as long as the application runs. To be called behind ingest's."""

    async def pulling(_: web.Application) -> AsyncIterator[None]:
        """Run the puller for as long as the application runs."""
        puller = Puller(runtime, *ways_in(app))
        async with background([puller.pull_for_ever()]):
            yield
        await puller.close()

    app.cleanup_ctx.append(pulling)
