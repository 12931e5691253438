"""Webhooks as the schema shows them: never with a secret, nor with the part of the address that may be one."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import strawberry

from service.api.execution.context import Context
from service.api.types.calls import Node
from service.api.types.declarations import described, value
from service.api.types.public_ids import encode_id
from service.storage.control.webhook_deliveries import DeliveryRecord
from service.storage.control.webhooks import WebhookRecord
from service.webhooks.budgets import Budgets
from service.webhooks.events import WebhookEvent as StoredEvent
from service.webhooks.registry import Webhooks

PREFIX = "hook"
DELIVERY_PREFIX = "msg"


@strawberry.enum
class WebhookEvent(Enum):
    """The events that a webhook can be sent."""

    CALLS_RECORDED = value("CALLS_RECORDED", "`calls.recorded`: changes of the feed, in batches and in its order.")
    SPEND_THRESHOLD = value("SPEND_THRESHOLD", "`spend.threshold`: a budget's day has come to one of its thresholds.")
    ERROR_RATE_SPIKE = value(
        "ERROR_RATE_SPIKE", "`error_rate.spike`: in an hour far more calls failed than in that hour of the last week."
    )
    PURGE_FINISHED = value(
        "PURGE_FINISHED", "`purge.finished`: a purge has ended. For keys that are bound to no account."
    )
    EXPORT_READY = value("EXPORT_READY", "`export.ready`: a file that the key asked for can be fetched.")
    POLICY_APPLIED = value("POLICY_APPLIED", "`policy.applied`: another policy is in force.")
    RECONCILIATION_FINISHED = value(
        "RECONCILIATION_FINISHED",
        "`reconciliation.finished`: a comparison with a bill or a gateway was made, by hand or at night.",
    )
    TEST = value("TEST", "`webhook.test`: `sendTestWebhook` was asked for. Each webhook is sent it.")


@strawberry.enum
class WebhookDeliveryState(Enum):
    """How far a delivery is."""

    PENDING = value("PENDING", "It is tried until the receiver has it, for three days.")
    DELIVERED = value("DELIVERED", "The receiver answered 2xx.")
    FAILED = value("FAILED", "The receiver has it not: it was given up.")


@strawberry.type
class Webhook(Node):
    """Where events are sent, by the rights that its key has then."""

    id: strawberry.ID = described("Opaque id, `hook_...`.")
    name: str | None = described("What it is for.")
    url: str = described("Where events are sent; of the path is only said that there is one, since it may be a secret.")
    events: list[WebhookEvent] = described("The events that it is sent.")
    created_at: datetime = described("When it was made.")
    created_by: strawberry.ID = described("The id of the key that made it.")
    accounts: list[str] | None = described("Accounts whose events it is sent. Null: every account.")
    disabled_at: datetime | None = described("Since when nothing is sent; null: it is live.")
    failure: str | None = described("Why it is disabled; null: it is live.")


@strawberry.type
class WebhookAttempt:
    """One request to the receiver."""

    at: datetime = described("When it began.")
    duration_ms: int | None = described("How long it took; null where the process ended meanwhile.")
    status: int | None = described("Status code of the answer; null without one.")
    failure: str | None = described("What went wrong; null of one that was answered 2xx, or has not ended.")


@strawberry.type
class WebhookDelivery:
    """One event for one webhook. What calls it is about is not kept here."""

    id: strawberry.ID = described("Opaque id, `msg_...`: the header `webhook-id`, the same in each attempt.")
    event: WebhookEvent = described("What happened.")
    state: WebhookDeliveryState = described("How far it is.")
    created_at: datetime = described("When it was found to have happened.")
    next_attempt_at: datetime | None = described("When it is tried next; null once it has ended.")
    ended_at: datetime | None = described("When it was delivered or given up.")
    attempts: list[WebhookAttempt] = described("Every attempt, oldest first.")


def webhooks_of(context: Context) -> Webhooks:
    """The webhooks of the ledger that this process serves."""
    webhooks: Webhooks = context.services["webhooks"]
    return webhooks


def budgets_of(context: Context) -> Budgets:
    """The budgets of the ledger that this process serves."""
    budgets: Budgets = context.services["budgets"]
    return budgets


async def webhook_node(context: Context, record: WebhookRecord) -> Webhook:
    """The stored webhook as the schema shows it."""
    names = context.reader.accounts
    accounts = None if record.accounts is None else [await names.name(one) for one in record.accounts]
    return Webhook(
        id=encode_id(PREFIX, record.id),
        name=record.name,
        url=record.shown_url,
        events=[event for event in WebhookEvent if StoredEvent[event.name].value in record.events],
        created_at=record.created_at,
        created_by=strawberry.ID(record.requested_by),
        accounts=accounts,
        disabled_at=record.disabled_at,
        failure=record.failure,
    )


def delivery_node(record: DeliveryRecord) -> WebhookDelivery:
    """The stored delivery as the schema shows it."""
    return WebhookDelivery(
        id=encode_id(DELIVERY_PREFIX, record.id),
        event=WebhookEvent[StoredEvent(record.event).name],
        state=WebhookDeliveryState[record.state.name],
        created_at=record.created_at,
        next_attempt_at=record.next_at if record.ended_at is None else None,
        ended_at=record.ended_at,
        attempts=[_attempt(one) for one in record.attempts],
    )


def _attempt(one: Mapping[str, Any]) -> WebhookAttempt:
    return WebhookAttempt(
        at=datetime.fromisoformat(one["at"]),
        duration_ms=one.get("ms"),
        status=one.get("status"),
        failure=one.get("failure"),
    )


def hours(number: int) -> timedelta:
    """So many hours, before they become a number of microseconds, which has a limit of its own."""
    return timedelta(hours=max(-1, min(number, 10_000)))
