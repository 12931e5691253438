"""Root fields of the schema, and the most that a policy may let each role ask."""

from collections.abc import Mapping
from typing import Final

from policies.policy.model import Role

_CALLS: Final = frozenset(
    {"calls", "errors", "errorGroups", "costs", "call", "facets", "node"} | {"changes", "changeSums", "callRecorded"}
)
_OWN_EXPORTS: Final = frozenset({"export", "exports", "cancelExport"})
_EXPORTS: Final = _OWN_EXPORTS | {"createExport", "createExportSchedule", "exportSchedules", "deleteExportSchedule"}
_WEBHOOKS: Final = frozenset(
    {"webhooks", "createWebhook", "rotateWebhookSecret", "enableWebhook", "deleteWebhook", "webhookDeliveries"}
    | {"replayWebhookDelivery", "sendTestWebhook"}
)
_EVIDENCE: Final = frozenset(
    {"policy", "retention", "purgeRuns", "holds", "erasures", "ledger", "checkpoint", "inclusionProof"}
    | {"consistencyProof", "createEvidence"}
    | _OWN_EXPORTS
    | _WEBHOOKS
)
_DUTIES: Final = frozenset({"placeHold", "liftHold", "planPurge", "requestPurge", "requestErasure", "eraseNotes"})
_KEYS: Final = frozenset({"apiKeys", "createApiKey", "rotateApiKey", "revokeApiKey"})
_REFUSALS: Final = frozenset({"ingestReport"})
_READING: Final = (
    _CALLS
    | _EXPORTS
    | _WEBHOOKS
    | {"viewer", "policy", "retention", "createSessionToken", "budgets"}
    | {"sources", "reconciliations"}
)

ROOT_FIELDS: Final = _READING | _REFUSALS | _EVIDENCE | _DUTIES | _KEYS | {"accounts", "revealError", "setBudget"}
"""Every field of Query, Mutation and Subscription."""

IMPLIED: Final[Mapping[str, str]] = {
    "nodes": "node",
    "account": "accounts",
    "attestation": "ledger",
    "attestations": "ledger",
    "requestAttestation": "createEvidence",
}
"""Root fields that are granted with another: the same right, asked for in another form."""

CEILINGS: Final[Mapping[Role, frozenset[str]]] = {
    Role.INGEST: frozenset({"viewer"}),
    Role.VIEWER: _READING,
    Role.PARTNER: _READING,
    Role.SUPPORT: _READING | _REFUSALS | {"revealError"},
    Role.AUDITOR: _EVIDENCE | _REFUSALS | {"viewer", "accounts", "sources"},
    Role.COMPLIANCE: _EVIDENCE | _REFUSALS | _DUTIES | {"viewer", "accounts"},
    Role.ADMIN: ROOT_FIELDS,
}
"""What each role can be granted at most: a role means the same under every policy."""

SHOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "reconciliations": (
        "Call.model",
        "Call.startedAt",
        "Call.amount",
        "Amount.amount",
        "Amount.currency",
        "CostRow.calls",
    )
}
"""Fields of calls that the answer of a root field is made of: who does not see all of them in clear is shown none."""

WITHOUT_CALLS: Final = frozenset({Role.INGEST, Role.AUDITOR, Role.COMPLIANCE})
"""Roles that are never shown call data, whatever a policy says."""

PLAIN_USER_FILTER: Final = frozenset({Role.VIEWER, Role.SUPPORT, Role.ADMIN})
"""Roles that a policy may let filter by a user's plain id."""
