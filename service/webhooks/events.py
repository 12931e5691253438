"""Events that webhooks can be sent, and the root field of the schema that decides who may be sent each."""

from enum import StrEnum
from typing import Final


class WebhookEvent(StrEnum):
    """A kind of event, by the `type` of its body."""

    CALLS_RECORDED = "calls.recorded"
    SPEND_THRESHOLD = "spend.threshold"
    ERROR_RATE_SPIKE = "error_rate.spike"
    PURGE_FINISHED = "purge.finished"
    EXPORT_READY = "export.ready"
    POLICY_APPLIED = "policy.applied"
    RECONCILIATION_FINISHED = "reconciliation.finished"
    TEST = "webhook.test"


ASKED_BY: Final = {
    WebhookEvent.CALLS_RECORDED: "changes",
    WebhookEvent.SPEND_THRESHOLD: "budgets",
    WebhookEvent.ERROR_RATE_SPIKE: "costs",
    WebhookEvent.PURGE_FINISHED: "purgeRuns",
    WebhookEvent.EXPORT_READY: "exports",
    WebhookEvent.POLICY_APPLIED: "policy",
    WebhookEvent.RECONCILIATION_FINISHED: "reconciliations",
}
"""The root field that would answer the same: who may not ask it is not sent the event."""
OF_EVERY_ACCOUNT: Final = frozenset({WebhookEvent.PURGE_FINISHED})
"""Events that a key which is bound to accounts is not sent."""
