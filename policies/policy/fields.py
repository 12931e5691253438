"""The GraphQL fields that hold call data, and the facts about them that no policy can change.

This table is the single truth: the document is checked against it, admission obeys it, views are computed over it.
A field that is added to a data type of the schema is added here and to every preset; until then the service refuses
to start.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from policies.policy.model import Action, Store


class Removal(NamedTuple):
    """Where values of a field lie in clear, beside the answers that are made from them: columns of calls and of errors,
    a column that sums are grouped by, and figures that are added up."""

    call: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    key: str | None = None
    figures: tuple[str, ...] = ()


class CallField(NamedTuple):
    """What no policy can change of a field of `Call`.

    `required`: a call cannot be stored without it. `text`: clear text that can be stored masked. `always`: it always
    has its value, so whoever is to get it masked is denied it. `origins`: the fields that it is computed from, or tells
    of. `removal`: where its values lie, if older ones are removed once the policy keeps them no more.
    """

    required: bool = False
    text: bool = False
    always: bool = False
    origins: tuple[str, ...] = ()
    removal: Removal | None = None


CALL_FIELDS: Final[Mapping[str, CallField]] = {
    "id": CallField(required=True, always=True),
    "sourceId": CallField(required=True, text=True),
    "source": CallField(required=True),
    "startedAt": CallField(required=True, always=True),
    "recordedAt": CallField(required=True, always=True),
    "account": CallField(required=True),
    "apiKey": CallField(text=True, removal=Removal(("api_key",), ("api_key",), "api_key")),
    "user": CallField(removal=Removal(("user_token",), ("user_token",))),
    "model": CallField(required=True),
    "servedModel": CallField(text=True, removal=Removal(("served_model",))),
    "provider": CallField(text=True, removal=Removal(("provider",), ("provider",), "provider")),
    "operation": CallField(text=True, removal=Removal(("operation",))),
    "status": CallField(required=True, always=True),
    "streamed": CallField(removal=Removal(("streamed",))),
    "inputTokens": CallField(removal=Removal(("input_tokens",), figures=("input_tokens",))),
    "outputTokens": CallField(removal=Removal(("output_tokens",), figures=("output_tokens",))),
    "totalTokens": CallField(origins=("Call.inputTokens", "Call.outputTokens")),
    "cacheReadTokens": CallField(removal=Removal(("cache_read_tokens",), figures=("cache_read_tokens",))),
    "cacheWriteTokens": CallField(removal=Removal(("cache_write_tokens",), figures=("cache_write_tokens",))),
    "reasoningTokens": CallField(removal=Removal(("reasoning_tokens",), figures=("reasoning_tokens",))),
    "tokenEfficiency": CallField(origins=("Call.inputTokens", "Call.outputTokens")),
    "amount": CallField(),
    "amountUnknown": CallField(origins=("Call.amount",)),
    "amountParts": CallField(removal=Removal(("amount_parts",))),
    "netAmount": CallField(origins=("Call.amount",)),
    "corrects": CallField(),
    "corrections": CallField(origins=("Call.corrects",)),
    "correctedAt": CallField(origins=("Call.corrects",)),
    "latencyMs": CallField(removal=Removal(("latency_ms",), figures=("latency",))),
    "timeToFirstTokenMs": CallField(removal=Removal(("time_to_first_token_ms",))),
    "tags": CallField(removal=Removal(("tags",))),
    "errorType": CallField(text=True, removal=Removal(("error_type",))),
    "errorCode": CallField(text=True, removal=Removal(("error_code",))),
    "error": CallField(),
    "traceId": CallField(text=True, removal=Removal(("trace_id",))),
    "parentSpanId": CallField(text=True, removal=Removal(("parent_span_id",))),
    "sessionId": CallField(text=True, removal=Removal(("session_id",))),
    "attempt": CallField(removal=Removal(("attempt",))),
    "cacheHit": CallField(removal=Removal(("cache_hit",))),
    "deployment": CallField(text=True, removal=Removal(("deployment",))),
    "team": CallField(text=True, removal=Removal(("team",))),
    "teamId": CallField(text=True, removal=Removal(("team_id",))),
    "organizationId": CallField(text=True, removal=Removal(("organization_id",))),
    "organization": CallField(text=True, removal=Removal(("organization",))),
    "normalizedError": CallField(text=True, removal=Removal(("normalized_error",))),
    "providerRequestId": CallField(text=True, removal=Removal(("provider_request_id",))),
    "units": CallField(removal=Removal(("units",))),
}
"""The fields of `Call` in the order of the schema: a new one is one line here, and one in every preset."""

_FIGURES: Final = (
    "calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens amount tokenEfficiency "
    "averageCost costPerThousandOutputTokens latencyMs timeToFirstTokenMs wastedOnFailures "
    "estimatedShare callsWithoutAmount"
)
_TYPES: Final[Mapping[str, str]] = {
    "Call": " ".join(CALL_FIELDS),
    "Amount": "amount currency source",
    "AmountPart": "meter quantity unitPrice amount priceList",
    "Tag": "key value",
    "Unit": "name quantity",
    "CallError": "id call type code message disclosure parameters occurredAt fingerprint redactions",
    "ErrorParameter": "name value action",
    "Redaction": "rule count",
    "ErrorGroup": "fingerprint type count firstSeen lastSeen models buckets sampleMessage",
    "ErrorGroupBucket": "start end count",
    "CostReport": "edges nodes pageInfo totalCount totals coverage rows truncated",
    "CostCoverage": "from to source",
    "CostRow": f"key {_FIGURES}",
    "CostFigures": _FIGURES,
    "CostKey": (
        "model provider account apiKey status operation servedModel errorType user currency tags bucketStart bucketEnd"
    ),
    "Money": "amount currency",
    "Percentiles": "p50 p95 p99",
    "Facets": (
        "models providers accounts apiKeys errorTypes errorCodes operations servedModels tags statuses currencies"
    ),
    "TagFacet": "key values",
    "FacetValue": "value count",
}
_CALL_TYPES: Final = frozenset({"Call", "Amount", "AmountPart", "Tag", "Unit"})
_ERROR_TYPES: Final = frozenset({"CallError", "ErrorParameter", "Redaction", "ErrorGroup", "ErrorGroupBucket"})
_FACET_TYPES: Final = frozenset({"Facets", "TagFacet", "FacetValue"})

DATA_FIELDS: Final = tuple(f"{name}.{field}" for name, fields in _TYPES.items() for field in fields.split())
"""Every field of the data types as `Type.field`, in the order of the schema."""

INTERFACES: Final[Mapping[str, tuple[str, ...]]] = {"CostFigure": ("CostRow", "CostFigures")}
"""Interfaces of data types: a field asked for through one is seen as by the least of those that implement it."""


def _store(field: str) -> Store:
    name = field.partition(".")[0]
    if field == "Call.error":
        return Store.CALL_ERROR
    if name in _CALL_TYPES or field in ("CallError.call", "CostKey.user"):
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
    {f"Call.{name}" for name, field in CALL_FIELDS.items() if field.text}
    | {"Tag.value", "CallError.type", "CallError.code"}
)
"""Clear text that can be stored masked."""


def _of(name: str, fields: str) -> frozenset[str]:
    return frozenset(f"{name}.{field}" for field in fields.split())


SHOWN_MASKED: Final = (
    frozenset(f"Call.{name}" for name, field in CALL_FIELDS.items() if not field.always)
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
            "timeToFirstTokenMs",
            *("wastedOnFailures", "estimatedShare", "callsWithoutAmount"),
        )
    )
)
"""What can be shown masked: as masked text, as null, or by the whole that it is part of being null.

A field that is not here always has its value, so whoever is to get it masked is denied it.
"""

REQUIRED: Final = frozenset(f"Call.{name}" for name, field in CALL_FIELDS.items() if field.required)
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
        f"{name}.timeToFirstTokenMs": ("Call.timeToFirstTokenMs",),
    }


def _same_names(name: str, origin: str, fields: str) -> dict[str, tuple[str, ...]]:
    return {f"{name}.{field}": (f"{origin}.{field}",) for field in fields.split()}


ORIGINS: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"Call.{name}": field.origins for name, field in CALL_FIELDS.items() if field.origins},
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
    "ErrorGroup.buckets": ("CallError.occurredAt",),
    **{f"ErrorGroupBucket.{field}": ("ErrorGroup.buckets",) for field in _TYPES["ErrorGroupBucket"].split()},
    "ErrorGroup.sampleMessage": ("CallError.message",),
    **dict.fromkeys(("CostReport.edges", "CostReport.nodes"), ("CostReport.rows",)),
    **_figure_origins("CostRow"),
    **_figure_origins("CostFigures"),
    **_same_names("CostKey", "Call", "model provider account apiKey status operation servedModel errorType user tags"),
    "CostKey.currency": ("Amount.currency",),
    **_same_names("Money", "Amount", "amount currency"),
    **{f"Percentiles.{field}": ("Call.latencyMs",) for field in _TYPES["Percentiles"].split()},
    "Facets.models": ("Call.model",),
    "Facets.providers": ("Call.provider",),
    "Facets.accounts": ("Call.account",),
    "Facets.apiKeys": ("Call.apiKey",),
    "Facets.errorTypes": ("Call.errorType", "Call.status"),
    "Facets.errorCodes": ("Call.errorCode", "Call.status"),
    "Facets.operations": ("Call.operation",),
    "Facets.servedModels": ("Call.servedModel",),
    "Facets.tags": ("Call.tags", "Tag.key", "Tag.value"),
    "TagFacet.key": ("Tag.key",),
    "TagFacet.values": ("Tag.value",),
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


REMOVED: Final[Mapping[str, Removal]] = {
    **{f"Call.{name}": field.removal for name, field in CALL_FIELDS.items() if field.removal},
    "CallError.code": Removal(error=("error_code",)),
}
"""Fields whose older values are removed once the policy keeps them no more. Those of all others end with their row."""
