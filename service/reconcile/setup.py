"""The place of nightly comparisons in the HTTP application: they are made for as long as it runs."""

from collections.abc import AsyncIterator

from aiohttp import web

from service.reconcile.nightly import reconcile_for_ever
from service.runtime.runtime import Runtime
from service.tasks import background


def setup(app: web.Application, runtime: Runtime) -> None:
    """Compare sources at night for as long as the application runs, if the setting says when."""
    at = runtime.settings.reconcile_time
    if at is None:
        return

    async def comparing(_: web.Application) -> AsyncIterator[None]:
        """Run the comparisons for as long as the application runs."""
        async with background([reconcile_for_ever(runtime, at)]):
            yield

    app.cleanup_ctx.append(comparing)
