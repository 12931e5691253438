"""`webhooks` and `webhookDeliveries`: of the key that asks, and everybody's for admins of every account."""

from typing import Annotated

import strawberry

from policies.policy.views import may_ask
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import moment_and_id, own_key, position_at, read_record_page
from service.api.execution.selection import tree_of
from service.api.types.connections import After, Connection, First
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
from service.query.records.ordering import Position
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

        async def fetch(size: int, position: Position | None) -> list[WebhookRecord]:
            """At most `size` webhooks after `position`, newest first."""
            async with reading(info.context) as connection:
                return await page_webhooks(connection, size, requested_by=own, behind=moment_and_id(position))

        page = await read_record_page(
            info, ("webhooks", own), first, after, fetch, lambda one: position_at(one.created_at, one.id)
        )
        total = 0
        if "totalCount" in tree_of(info):
            async with reading(info.context) as connection:
                total = await count_webhooks(connection, own)
        return page.connection([await webhook_node(info.context, one) for one in page.rows], total)

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def webhook_deliveries(
        self, info: Info, webhook: WebhookId, first: First = UNSET, after: After = UNSET
    ) -> Connection[WebhookDelivery] | None:
        """What was or is to be delivered to a webhook, newest first. What has ended is forgotten after 30 days."""
        record = await reached_webhook(info.context, webhook)

        async def fetch(size: int, position: Position | None) -> list[DeliveryRecord]:
            """At most `size` deliveries after `position`, newest first."""
            async with reading(info.context) as connection:
                return await page_deliveries(connection, record.id, size, moment_and_id(position))

        page = await read_record_page(
            info, ("deliveries", record.id), first, after, fetch, lambda one: position_at(one.created_at, one.id)
        )
        total = 0
        if "totalCount" in tree_of(info):
            async with reading(info.context) as connection:
                total = await count_deliveries(connection, record.id)
        return page.connection([delivery_node(one) for one in page.rows], total)


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
