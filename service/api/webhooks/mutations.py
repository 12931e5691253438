"""Webhooks made, changed and ended through the schema: in the ledger before the answer."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final

import strawberry
from graphql import GraphQLError

from policies.policy.views import may_be_notified
from service.access.authenticate import ForbiddenError
from service.api.calls.filters import to_predicate, written_filter
from service.api.execution.context import Context, Info
from service.api.execution.limits import Bucket
from service.api.exports.kinds import SHAPES, Fields, chosen_fields
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.filter_inputs import CallFilter
from service.api.webhooks.operation import changes_operation
from service.api.webhooks.queries import WebhookId, reached_delivery, reached_webhook
from service.api.webhooks.types import (
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    delivery_node,
    hours,
    webhook_node,
    webhooks_of,
)
from service.query.model.errors import BadInputError
from service.query.model.predicate import EVERYTHING
from service.webhooks.events import ASKED_BY, OF_EVERY_ACCOUNT
from service.webhooks.events import WebhookEvent as StoredEvent
from service.webhooks.registry import WebhookRequest

_OVERLAP_HOURS: Final = 24
_MAX_COST: Final = 1_000_000


@strawberry.input
class CreateWebhookInput:
    """A webhook to make."""

    url: str = described("Where events are sent: `https://...`, in the public internet unless settings allow others.")
    events: list[WebhookEvent] = described("The events that it is sent: of what its key may ask for.")
    name: str | None = optional("What it is for: one printable line of at most 200 characters.")
    filter: CallFilter | None = optional("Which calls CALLS_RECORDED and ERROR_RATE_SPIKE are about; all of the key's.")
    fields: list[str] | None = optional("Names of fields of `Call` for CALLS_RECORDED; all that the role sees.")
    after: str | None = optional(
        "The cursor of `changes` behind which CALLS_RECORDED begins, with this filter; not given: what comes from now "
        "on."
    )


@strawberry.type
class CreateWebhookPayload:
    """The webhook that was made."""

    webhook: Webhook = described("As it is.")
    secret: str = described("What signs, `whsec_...`. It is in this answer and nowhere else: keep it now.")


@strawberry.input
class RotateWebhookSecretInput:
    """A secret to replace."""

    id: strawberry.ID = described("The id of a webhook, `hook_...`.")
    overlap_hours: int = described("How long the old secret still signs along, 0 to 168 hours.", default=_OVERLAP_HOURS)


@strawberry.type
class RotateWebhookSecretPayload:
    """The webhook with another secret."""

    webhook: Webhook = described("As it is.")
    secret: str = described("The new secret. It is in this answer and nowhere else: keep it now.")


@strawberry.type
class EnableWebhookPayload:
    """The webhook that is sent to again."""

    webhook: Webhook = described("As it is.")


@strawberry.type
class DeleteWebhookPayload:
    """The webhook that was deleted."""

    webhook: Webhook = described("As it was.")


@strawberry.type
class WebhookDeliveryPayload:
    """What is to be delivered."""

    delivery: WebhookDelivery = described("Ask `webhookDeliveries` for what came of it.")


@strawberry.type
class WebhookMutation:
    """Root fields of webhooks; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=200)])
    async def create_webhook(
        self, info: Info, input: Annotated[CreateWebhookInput, argument("What it is to be.")]
    ) -> CreateWebhookPayload | None:
        """Have events sent to an address, signed as Standard Webhooks 1.0 has it, for as long as the key lives."""
        context = info.context
        _refuse_session(context)
        asked = await _checked(info, input)
        record, secret = await webhooks_of(context).create(asked, context.scope)
        context.holds_secret = True
        return CreateWebhookPayload(webhook=await webhook_node(context, record), secret=secret.text)

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def rotate_webhook_secret(
        self, info: Info, input: Annotated[RotateWebhookSecretInput, argument("Which webhook, and how.")]
    ) -> RotateWebhookSecretPayload | None:
        """A new secret. Until the overlap ends each event has two signatures, and a receiver may check either."""
        context = info.context
        _refuse_session(context)
        reached = await reached_webhook(context, input.id)
        overlap, actor = hours(input.overlap_hours), context.scope.key_id
        record, secret = await webhooks_of(context).rotate(reached.id, overlap, actor)
        context.holds_secret = True
        return RotateWebhookSecretPayload(webhook=await webhook_node(context, record), secret=secret.text)

    @strawberry.mutation(directives=[Cost(weight=50)])
    async def enable_webhook(self, info: Info, id: WebhookId) -> EnableWebhookPayload | None:
        """Send again to a webhook that was disabled, from where it had ended."""
        context = info.context
        _refuse_session(context)
        reached = await reached_webhook(context, id)
        record = await webhooks_of(context).enable(reached.id, context.scope.key_id)
        return EnableWebhookPayload(webhook=await webhook_node(context, record))

    @strawberry.mutation(directives=[Cost(weight=50)])
    async def delete_webhook(self, info: Info, id: WebhookId) -> DeleteWebhookPayload | None:
        """Send nothing any more; secrets and log go with the webhook."""
        context = info.context
        reached = await reached_webhook(context, id)
        await webhooks_of(context).delete(reached.id, context.scope.key_id)
        return DeleteWebhookPayload(webhook=await webhook_node(context, reached))

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def send_test_webhook(self, info: Info, id: WebhookId) -> WebhookDeliveryPayload | None:
        """Send an event that says nothing, now."""
        reached = await reached_webhook(info.context, id)
        return WebhookDeliveryPayload(delivery=delivery_node(await webhooks_of(info.context).test(reached.id)))

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def replay_webhook_delivery(
        self, info: Info, id: Annotated[strawberry.ID, argument("Its id, `msg_...`.")]
    ) -> WebhookDeliveryPayload | None:
        """Deliver again what was delivered or given up, under the same id, with the calls as they are now."""
        reached = await reached_delivery(info.context, id)
        delivery = await webhooks_of(info.context).replay(reached, info.context.scope.key_id)
        return WebhookDeliveryPayload(delivery=delivery_node(delivery))


def _refuse_session(context: Context) -> None:
    if context.principal is not None and context.principal.session is not None:
        raise ForbiddenError("a session token makes and changes no webhooks: ask with the key itself")


async def _checked(info: Info, input: CreateWebhookInput) -> WebhookRequest:
    """What is asked for. Whatever would be refused later is refused now: BadInputError, or GraphQL's words and code."""
    context, scope = info.context, info.context.scope
    events = [StoredEvent[event.name] for event in dict.fromkeys(input.events)]
    if not events or len(input.events) > len(StoredEvent):
        raise BadInputError(f"a webhook has 1 to {len(StoredEvent)} `events`")
    for event in events:
        asked = ASKED_BY.get(event)
        if asked is not None and not may_be_notified(scope.policy, scope.role, asked):
            raise ForbiddenError(f"the role `{scope.role}` may not ask `{asked}`, and is not sent `{event}`")
        if event in OF_EVERY_ACCOUNT and scope.accounts is not None:
            raise ForbiddenError(f"a key that is bound to accounts is not sent `{event}`")
    wanted = given(input.filter)
    filter_ = None if wanted is None else await asyncio.to_thread(written_filter, wanted)  # looks for credentials
    cursor, request = None, dict[str, Any](filter=filter_)
    if StoredEvent.CALLS_RECORDED in events:
        fields = chosen_fields(SHAPES["CALLS"], given(input.fields), scope)
        cursor = given(input.after)
        if cursor is None:
            predicate = EVERYTHING if wanted is None else to_predicate(wanted)
            cursor = await context.reader.newest_change(scope, predicate)
        await _try(info, fields, {"filter": filter_, "after": cursor, "first": 1})
        request["fields"] = fields
    return WebhookRequest(input.url, given(input.name), events, request, cursor)


async def _try(info: Info, fields: Fields, variables: dict[str, Any]) -> None:
    """Ask for the first change."""
    given_ = {name: value for name, value in variables.items() if value is not None}
    context = replace(info.context, bucket=Bucket(0), max_cost=_MAX_COST, sizes={}, http_headers={})
    result = await info.schema.execute(changes_operation(fields), variable_values=given_, context_value=context)
    for error in result.errors or []:
        raise GraphQLError(error.message, extensions=error.extensions)
