"""The GraphQL fields that hold call data, and the facts about them that no policy can change.

This table is the single truth: the document is checked against it, admission obeys it, views are computed over it.
A field that is added to a data type of the schema is added here and to every preset; until then the service refuses
to start.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from policies.policy.model import Action, Store

_FIGURES: Final = (
    "calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens amount tokenEfficiency "
    "averageCost costPerThousandOutputTokens latencyMs wastedOnFailures estimatedShare callsWithoutAmount"
)
_TYPES: Final[Mapping[str, str]] = {
    "Call": (
        "id sourceId source startedAt account apiKey user model servedModel provider operation status streamed "
        "inputTokens outputTokens totalTokens cacheReadTokens cacheWriteTokens reasoningTokens tokenEfficiency amount "
        "amountUnknown amountParts netAmount corrects corrections correctedAt "
        "latencyMs timeToFirstTokenMs tags errorType errorCode error traceId sessionId "
        "attempt cacheHit deployment team organization normalizedError providerRequestId units"
    ),
    "Amount": "amount currency source",
    "AmountPart": "meter quantity unitPrice amount priceList",
    "Tag": "key value",
    "Unit": "name quantity",
    "CallError": "id call type code message disclosure parameters occurredAt fingerprint redactions",
    "ErrorParameter": "name value action",
    "Redaction": "rule count",
    "ErrorGroup": "fingerprint type count firstSeen lastSeen models sampleMessage",
    "CostReport": "rows totals coverage truncated",
    "CostCoverage": "from to source",
    "CostRow": f"key {_FIGURES}",
    "CostFigures": _FIGURES,
    "CostKey": ("model provider account apiKey status operation servedModel currency tags bucketStart bucketEnd"),
    "Money": "amount currency",
    "Percentiles": "p50 p95 p99",
    "Facets": "models providers accounts apiKeys errorTypes statuses currencies",
    "FacetValue": "value count",
}
_CALL_TYPES: Final = frozenset({"Call", "Amount", "AmountPart", "Tag", "Unit"})
_ERROR_TYPES: Final = frozenset({"CallError", "ErrorParameter", "Redaction", "ErrorGroup"})
_FACET_TYPES: Final = frozenset({"Facets", "FacetValue"})

DATA_TYPES: Final = frozenset(_TYPES)
"""Types whose every field needs an entry in the policy."""

DATA_FIELDS: Final = tuple(f"{name}.{field}" for name, fields in _TYPES.items() for field in fields.split())
"""Every field of the data types as `Type.field`, in the order of the schema."""

INTERFACES: Final[Mapping[str, tuple[str, ...]]] = {"CostFigure": ("CostRow", "CostFigures")}
"""Interfaces of data types: a field asked for through one is seen as by the least of those that implement it."""


def _store(field: str) -> Store:
    name = field.partition(".")[0]
    if field == "Call.error":
        return Store.CALL_ERROR
    if name in _CALL_TYPES or field == "CallError.call":
        return Store.CALL
    if name in _ERROR_TYPES:
        return Store.CALL_ERROR
    return Store.USAGE_QUARTER if name in _FACET_TYPES else Store.USAGE_DAY


STORES: Final[Mapping[str, Store]] = {field: _store(field) for field in DATA_FIELDS}
"""Where a field lives. A fact that is in both rollups is listed with the one that keeps it longer."""

USER: Final = "Call.user"
SEALED: Final = frozenset({"CallError.message", "ErrorParameter.value", "ErrorGroup.sampleMessage"})
"""Text that lies in the sealed blob and nowhere in clear."""

MASKABLE: Final = frozenset(
    {"Call.sourceId", "Call.apiKey", "Call.servedModel", "Call.provider", "Call.operation", "Tag.value"}
    | {"Call.errorType", "Call.errorCode", "CallError.type", "CallError.code"}
    | {"Call.traceId", "Call.sessionId", "Call.deployment", "Call.team", "Call.organization"}
    | {"Call.normalizedError", "Call.providerRequestId"}
)
"""Clear text that can be stored masked."""


def _of(name: str, fields: str) -> frozenset[str]:
    return frozenset(f"{name}.{field}" for field in fields.split())


SHOWN_MASKED: Final = (
    _of("Call", "sourceId source account apiKey user model servedModel provider operation streamed inputTokens")
    | _of("Call", "outputTokens totalTokens cacheReadTokens cacheWriteTokens reasoningTokens tokenEfficiency amount")
    | _of("Call", "netAmount corrects corrections correctedAt")
    | _of("Call", "amountUnknown amountParts latencyMs timeToFirstTokenMs tags errorType errorCode error")
    | _of("Call", "traceId sessionId attempt cacheHit deployment team organization normalizedError providerRequestId")
    | _of("Call", "units")
    | _of("Amount", _TYPES["Amount"])
    | _of("AmountPart", _TYPES["AmountPart"])
    | _of("Tag", _TYPES["Tag"])
    | _of("Unit", _TYPES["Unit"])
    | _of("CallError", "call type code message parameters")
    | _of("ErrorParameter", _TYPES["ErrorParameter"])
    | _of("ErrorGroup", "type sampleMessage")
    | _of("CostKey", _TYPES["CostKey"])
    | _of("Money", _TYPES["Money"])
    | frozenset(
        f"{name}.{figure}"
        for name in ("CostRow", "CostFigures")
        for figure in (
            *("amount", "tokenEfficiency", "averageCost", "costPerThousandOutputTokens", "latencyMs"),
            *("wastedOnFailures", "estimatedShare", "callsWithoutAmount"),
        )
    )
)
"""What can be shown masked: as masked text, as null, or by the whole that it is part of being null.

A field that is not here always has its value, so whoever is to get it masked is denied it.
"""

REQUIRED: Final = frozenset(
    f"Call.{field}" for field in ("id", "sourceId", "source", "startedAt", "account", "model", "status")
)
"""What a call cannot be stored without."""

ERROR_RECORD: Final = tuple(f"CallError.{field}" for field in ("id", "type", "occurredAt", "fingerprint"))
"""What an error record cannot be stored without: all of it is kept, or there are no error records."""

_TOKENS: Final = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens")
_PAID: Final = ("Call.amount", "Amount.amount")


def _figure_origins(name: str) -> dict[str, tuple[str, ...]]:
    origins: dict[str, tuple[str, ...]] = {f"{name}.{token}": (f"Call.{token}",) for token in _TOKENS}
    return origins | {
        f"{name}.amount": ("Call.amount",),
        # Of a single call they are its amount: who may not see that sees none of them.
        f"{name}.averageCost": _PAID,
        f"{name}.costPerThousandOutputTokens": (*_PAID, "Call.outputTokens"),
        f"{name}.wastedOnFailures": (*_PAID, "Call.status"),
        f"{name}.estimatedShare": (*_PAID, "Amount.source"),
        f"{name}.callsWithoutAmount": ("Call.amount",),
        f"{name}.errors": ("Call.status",),
        f"{name}.tokenEfficiency": ("Call.tokenEfficiency",),
        f"{name}.latencyMs": ("Call.latencyMs",),
    }


def _same_names(name: str, origin: str, fields: str) -> dict[str, tuple[str, ...]]:
    return {f"{name}.{field}": (f"{origin}.{field}",) for field in fields.split()}


ORIGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "Call.totalTokens": ("Call.inputTokens", "Call.outputTokens"),
    "Call.tokenEfficiency": ("Call.inputTokens", "Call.outputTokens"),
    "Call.amountUnknown": ("Call.amount",),
    "Call.netAmount": ("Call.amount",),
    "Call.corrections": ("Call.corrects",),
    "Call.correctedAt": ("Call.corrects",),
    **{f"Amount.{field}": ("Call.amount",) for field in _TYPES["Amount"].split()},
    **{f"AmountPart.{field}": ("Call.amountParts",) for field in _TYPES["AmountPart"].split()},
    **{f"Tag.{field}": ("Call.tags",) for field in _TYPES["Tag"].split()},
    **{f"Unit.{field}": ("Call.units",) for field in _TYPES["Unit"].split()},
    **{f"ErrorParameter.{field}": ("CallError.parameters",) for field in _TYPES["ErrorParameter"].split()},
    "CallError.type": ("Call.errorType",),
    "CallError.code": ("Call.errorCode",),
    "Redaction.rule": ("CallError.redactions",),
    "Redaction.count": ("CallError.redactions",),
    "ErrorGroup.fingerprint": ("CallError.fingerprint",),
    "ErrorGroup.type": ("CallError.type",),
    "ErrorGroup.firstSeen": ("CallError.occurredAt",),
    "ErrorGroup.lastSeen": ("CallError.occurredAt",),
    "ErrorGroup.models": ("Call.model",),
    "ErrorGroup.sampleMessage": ("CallError.message",),
    **_figure_origins("CostRow"),
    **_figure_origins("CostFigures"),
    **_same_names("CostKey", "Call", "model provider account apiKey status operation servedModel tags"),
    "CostKey.currency": ("Amount.currency",),
    **_same_names("Money", "Amount", "amount currency"),
    **{f"Percentiles.{field}": ("Call.latencyMs",) for field in _TYPES["Percentiles"].split()},
    "Facets.models": ("Call.model",),
    "Facets.providers": ("Call.provider",),
    "Facets.accounts": ("Call.account",),
    "Facets.apiKeys": ("Call.apiKey",),
    "Facets.errorTypes": ("Call.errorType", "Call.status"),
    "Facets.statuses": ("Call.status",),
    "Facets.currencies": ("Amount.currency",),
}
"""Field -> the fields that it repeats, is part of, or is computed from: no role sees more of it than of those."""

ADMITTED_PARTS: Final = frozenset({"Tag.value", "CallError.type", "CallError.code"})
"""Fields with an origin that admission can nevertheless drop by themselves."""


def _actions(field: str) -> frozenset[Action]:
    if field == USER:
        return frozenset({Action.HASH, Action.DROP})
    if field in SEALED:
        return frozenset({Action.SEAL, Action.MASK, Action.DROP})
    # What is only computed when it is asked for cannot be dropped from storage.
    computed = STORES[field] in (Store.USAGE_QUARTER, Store.USAGE_DAY) and field not in ORIGINS
    actions = {Action.KEEP} if field in REQUIRED or computed else {Action.KEEP, Action.DROP}
    return frozenset(actions | {Action.MASK} if field in MASKABLE else actions)


ACTIONS: Final[Mapping[str, frozenset[Action]]] = {field: _actions(field) for field in DATA_FIELDS}
"""What a policy may do to each field."""


class Removal(NamedTuple):
    """Where values of a field lie in clear, beside the answers that are made from them: columns of calls and of errors,
    a column that sums are grouped by, and figures that are added up."""

    call: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    key: str | None = None
    figures: tuple[str, ...] = ()


REMOVED: Final[Mapping[str, Removal]] = {
    "Call.user": Removal(("user_token",), ("user_token",)),
    "Call.apiKey": Removal(("api_key",), ("api_key",), "api_key"),
    "Call.servedModel": Removal(("served_model",)),
    "Call.provider": Removal(("provider",), ("provider",), "provider"),
    "Call.operation": Removal(("operation",)),
    "Call.streamed": Removal(("streamed",)),
    "Call.inputTokens": Removal(("input_tokens",), figures=("input_tokens",)),
    "Call.outputTokens": Removal(("output_tokens",), figures=("output_tokens",)),
    "Call.cacheReadTokens": Removal(("cache_read_tokens",), figures=("cache_read_tokens",)),
    "Call.cacheWriteTokens": Removal(("cache_write_tokens",), figures=("cache_write_tokens",)),
    "Call.reasoningTokens": Removal(("reasoning_tokens",), figures=("reasoning_tokens",)),
    "Call.latencyMs": Removal(("latency_ms",), figures=("latency",)),
    "Call.timeToFirstTokenMs": Removal(("time_to_first_token_ms",)),
    "Call.amountParts": Removal(("amount_parts",)),
    "Call.tags": Removal(("tags",)),
    "Call.errorType": Removal(("error_type",)),
    "Call.errorCode": Removal(("error_code",)),
    "CallError.code": Removal(error=("error_code",)),
    "Call.traceId": Removal(("trace_id",)),
    "Call.sessionId": Removal(("session_id",)),
    "Call.providerRequestId": Removal(("provider_request_id",)),
    "Call.attempt": Removal(("attempt",)),
    "Call.cacheHit": Removal(("cache_hit",)),
    "Call.deployment": Removal(("deployment",)),
    "Call.team": Removal(("team",)),
    "Call.organization": Removal(("organization",)),
    "Call.normalizedError": Removal(("normalized_error",)),
    "Call.units": Removal(("units",)),
}
"""Fields whose older values are removed once the policy keeps them no more. Those of all others end with their row."""
