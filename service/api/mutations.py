"""The root type `Mutation`."""

import strawberry

from service.api.calls.reveal import RevealMutation
from service.api.exports.attestations import AttestationMutation
from service.api.exports.evidence import EvidenceMutation
from service.api.exports.mutations import ExportMutation
from service.api.exports.schedules import ExportScheduleMutation
from service.api.keys.mutations import KeyMutation
from service.api.keys.sessions import SessionMutation
from service.api.retention.mutations import RetentionMutation
from service.api.webhooks.budgets import BudgetMutation
from service.api.webhooks.mutations import WebhookMutation


@strawberry.type(description="What can be done.")
class Mutation(
    RevealMutation,
    RetentionMutation,
    EvidenceMutation,
    AttestationMutation,
    ExportMutation,
    ExportScheduleMutation,
    KeyMutation,
    SessionMutation,
    WebhookMutation,
    BudgetMutation,
):
    """Each duty has its own file; here they come together."""
