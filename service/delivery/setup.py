"""The place of deliveries in the HTTP application: they are made for as long as it runs."""

from collections.abc import AsyncIterator

from aiohttp import web

from service.delivery.sender import Sender
from service.delivery.worker import DeliveryWorker
from service.runtime.runtime import Runtime
from service.tasks import background
from service.webhooks.addresses import AddressGuard


def setup(app: web.Application, runtime: Runtime) -> None:
    """Deliver events for as long as the application runs."""

    async def delivering(_: web.Application) -> AsyncIterator[None]:
        """Deliver for as long as the application runs."""
        guard = AddressGuard(runtime.settings.networks, http=runtime.settings.webhook_http)
        async with Sender.open(guard) as sender, background([DeliveryWorker(runtime, sender).work_for_ever()]):
            yield

    app.cleanup_ctx.append(delivering)
