"""`webhooks` and `webhookDeliveries`: of the key that asks, and everybody's for admins of every account."""

from typing import Annotated

import strawberry

from policies.policy.views import may_ask
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import newest_first, own_key, read_scoped_page
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_id
from service.api.webhooks.types import (
    DELIVERY_PREFIX,
    PREFIX,
    Webhook,
    WebhookDelivery,
    delivery_node,
    webhook_node,
)
from service.query.model.errors import BadInputError
from service.storage.control.webhook_deliveries import (
    DeliveryRecord,
    count_deliveries,
    get_delivery,
    page_deliveries,
)
from service.storage.control.webhooks import WebhookRecord, count_webhooks, get_webhook, page_webhooks

WebhookId = Annotated[strawberry.ID, argument("Its id, `hook_...`.")]


@strawberry.type
class WebhookQuery:
    """Root fields of webhooks; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def webhooks(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Webhook] | None:
        """The key's own webhooks, newest first; everybody's for admins of every account."""
        own = own_key(info.context.scope)

        page = await read_scoped_page(
            info,
            ("webhooks", own),
            Slicing.of(first, after),
            newest_first("created_at"),
            lambda connection, size, behind: page_webhooks(connection, size, requested_by=own, behind=behind),
            lambda connection: count_webhooks(connection, own),
        )
        return page.connection([await webhook_node(info.context, one) for one in page.rows])

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def webhook_deliveries(
        self, info: Info, webhook: WebhookId, first: First = UNSET, after: After = UNSET
    ) -> Connection[WebhookDelivery] | None:
        """What was or is to be delivered to a webhook, newest first. What has ended is forgotten after 30 days."""
        record = await reached_webhook(info.context, webhook)

        page = await read_scoped_page(
            info,
            ("deliveries", record.id),
            Slicing.of(first, after),
            newest_first("created_at"),
            lambda connection, size, behind: page_deliveries(connection, record.id, size, behind),
            lambda connection: count_deliveries(connection, record.id),
        )
        return page.connection([delivery_node(one) for one in page.rows])


async def resolve_webhook(context: Context, id_: str) -> Webhook | None:
    """A webhook by its id; None when there is none that the one who asks may see."""
    if not may_ask(context.scope.policy, context.scope.role, "webhooks"):
        return None
    try:
        return await webhook_node(context, await reached_webhook(context, id_))
    except BadInputError:
        return None


async def reached_webhook(context: Context, id_: str) -> WebhookRecord:
    """The webhook of this outward id. Raises BadInputError when there is none that the scope reaches."""
    number, own, record = decode_id(PREFIX, id_), own_key(context.scope), None
    if number is not None:
        async with reading(context) as connection:
            record = await get_webhook(connection, number)
    if record is None or own not in (None, record.requested_by):
        raise BadInputError(f"there is no webhook `{id_[:60]}`")
    return record


async def reached_delivery(context: Context, id_: str) -> DeliveryRecord:
    """The delivery of this outward id. Raises BadInputError when its webhook is none that the scope reaches."""
    number, own, found, record = decode_id(DELIVERY_PREFIX, id_), own_key(context.scope), None, None
    if number is not None:
        async with reading(context) as connection:
            found = await get_delivery(connection, number)
            record = None if found is None else await get_webhook(connection, found.webhook_id)
    if found is None or record is None or own not in (None, record.requested_by):
        raise BadInputError(f"there is no delivery `{id_[:60]}`")
    return found
