"""What can be filtered, selected and ordered, and the SQL that stands for it.

Names are those of the GraphQL filters and types. Every piece of SQL that a query is assembled from stands here or in
the modules beside it; nothing of a caller's ever becomes part of a statement but as a bound parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from policies.policy.model import Store
from service.storage.sources import AMOUNT_UNKNOWN_NUMBERS


class FieldKind(Enum):
    """How a filter's value is compared."""

    TEXT = auto()
    INTEGER = auto()
    DECIMAL = auto()
    MOMENT = auto()
    FLAG = auto()
    STATUS = auto()
    CALL_ID = auto()
    ERROR_ID = auto()
    FINGERPRINT = auto()
    ACCOUNT = auto()
    USER = auto()
    RULES = auto()
    TAGS = auto()


@dataclass(frozen=True, slots=True)
class Filterable:
    """A field of a filter: its expression, how it compares, and the policy's fields that govern it."""

    sql: str
    kind: FieldKind
    governed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selectable:
    """A field of a type: the columns that it needs, by alias. `text` fields have a masked form, others become null.

    `{readable}` in an expression stands for the moment before which hashed values are not shown any more.
    """

    columns: Mapping[str, str]
    text: bool = False


@dataclass(frozen=True, slots=True)
class Sortable:
    """A field to order by: its expression, its SQL type, and the policy's fields that govern it."""

    sql: str
    type: str
    governed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A store as queries see it: one of the two below. `time` is the column that it is partitioned and paged by."""

    name: str
    kind: str
    time: str
    time_field: str
    store: Store
    filters: Mapping[str, Filterable]
    fields: Mapping[str, Selectable]
    orders: Mapping[str, Sortable]
    time_order: str


TOTAL_TOKENS: Final = (
    "CASE WHEN input_tokens IS NOT NULL OR output_tokens IS NOT NULL "
    "THEN coalesce(input_tokens, 0)::bigint + coalesce(output_tokens, 0) END"
)
TOKEN_EFFICIENCY: Final = "output_tokens::double precision / nullif(input_tokens, 0)"  # noqa: S105 - model tokens
PLAIN_AMOUNT: Final = "trim_scale(amount)::text"
AMOUNT_UNKNOWN: Final = (
    "(CASE amount_unknown "
    + " ".join(f"WHEN {number} THEN '{name}'" for name, number in AMOUNT_UNKNOWN_NUMBERS.items())
    + " END)"
)
READABLE_USER: Final = "CASE WHEN started_at >= {readable} THEN user_token END"


def _call(field: str, sql: str, kind: FieldKind) -> Filterable:
    return Filterable(sql, kind, (f"Call.{field}",))


CALL_FILTERS: Final[Mapping[str, Filterable]] = {
    "id": _call("id", "id", FieldKind.CALL_ID),
    "sourceId": _call("sourceId", "source_id", FieldKind.TEXT),
    "startedAt": _call("startedAt", "started_at", FieldKind.MOMENT),
    "account": _call("account", "account_id", FieldKind.ACCOUNT),
    "apiKey": _call("apiKey", "api_key", FieldKind.TEXT),
    "user": _call("user", "user_token", FieldKind.USER),
    "model": _call("model", "model", FieldKind.TEXT),
    "servedModel": _call("servedModel", "served_model", FieldKind.TEXT),
    "provider": _call("provider", "provider", FieldKind.TEXT),
    "operation": _call("operation", "operation", FieldKind.TEXT),
    "status": _call("status", "failed", FieldKind.STATUS),
    "streamed": _call("streamed", "streamed", FieldKind.FLAG),
    "inputTokens": _call("inputTokens", "input_tokens", FieldKind.INTEGER),
    "outputTokens": _call("outputTokens", "output_tokens", FieldKind.INTEGER),
    "totalTokens": _call("totalTokens", f"({TOTAL_TOKENS})", FieldKind.INTEGER),
    "amount": Filterable("amount", FieldKind.DECIMAL, ("Call.amount", "Amount.amount")),
    "amountUnknown": _call("amountUnknown", AMOUNT_UNKNOWN, FieldKind.TEXT),
    "currency": Filterable("currency", FieldKind.TEXT, ("Call.amount", "Amount.currency")),
    "latencyMs": _call("latencyMs", "latency_ms", FieldKind.INTEGER),
    "timeToFirstTokenMs": _call("timeToFirstTokenMs", "time_to_first_token_ms", FieldKind.INTEGER),
    "errorType": _call("errorType", "error_type", FieldKind.TEXT),
    "errorCode": _call("errorCode", "error_code", FieldKind.TEXT),
    "traceId": _call("traceId", "trace_id", FieldKind.TEXT),
    "sessionId": _call("sessionId", "session_id", FieldKind.TEXT),
    "attempt": _call("attempt", "attempt", FieldKind.INTEGER),
    "cacheHit": _call("cacheHit", "cache_hit", FieldKind.FLAG),
    "deployment": _call("deployment", "deployment", FieldKind.TEXT),
    "team": _call("team", "team", FieldKind.TEXT),
    "organization": _call("organization", "organization", FieldKind.TEXT),
    "normalizedError": _call("normalizedError", "normalized_error", FieldKind.TEXT),
    "providerRequestId": _call("providerRequestId", "provider_request_id", FieldKind.TEXT),
    "tags": Filterable("tags", FieldKind.TAGS, ("Call.tags", "Tag.key", "Tag.value")),
    "isCorrection": Filterable("(correction_of IS NOT NULL)", FieldKind.FLAG, ("Call.corrects",)),
}

ERROR_FILTERS: Final[Mapping[str, Filterable]] = {
    "id": Filterable("id", FieldKind.ERROR_ID, ("CallError.id",)),
    "occurredAt": Filterable("occurred_at", FieldKind.MOMENT, ("CallError.occurredAt",)),
    "account": CALL_FILTERS["account"],
    "apiKey": CALL_FILTERS["apiKey"],
    "user": CALL_FILTERS["user"],
    "model": CALL_FILTERS["model"],
    "provider": CALL_FILTERS["provider"],
    "type": Filterable("error_type", FieldKind.TEXT, ("CallError.type",)),
    "code": Filterable("error_code", FieldKind.TEXT, ("CallError.code",)),
    "fingerprint": Filterable("fingerprint", FieldKind.FINGERPRINT, ("CallError.fingerprint",)),
    "redactedBy": Filterable("rules", FieldKind.RULES, ("CallError.redactions", "Redaction.rule")),
}


def _columns(*names: str) -> Mapping[str, str]:
    return {name: name for name in names}


def _text(name: str) -> Selectable:
    return Selectable({name: name}, text=True)


def _value(*names: str) -> Selectable:
    return Selectable(_columns(*names))


_PLACE: Final = _columns("account_id", "tier", "started_at", "id")

CALL_FIELDS: Final[Mapping[str, Selectable]] = {
    "id": _value("account_id", "id"),
    "sourceId": _text("source_id"),
    "source": _text("source"),
    "startedAt": _value("started_at"),
    "account": Selectable({"account": "account_id"}, text=True),
    "apiKey": _text("api_key"),
    "user": Selectable({"started_at": "started_at", "user_token": READABLE_USER}),
    "model": _text("model"),
    "servedModel": _text("served_model"),
    "provider": _text("provider"),
    "operation": _text("operation"),
    "status": _value("failed"),
    "streamed": _value("streamed"),
    "inputTokens": _value("input_tokens"),
    "outputTokens": _value("output_tokens"),
    "totalTokens": Selectable({"total_tokens": TOTAL_TOKENS}),
    "cacheReadTokens": _value("cache_read_tokens"),
    "cacheWriteTokens": _value("cache_write_tokens"),
    "reasoningTokens": _value("reasoning_tokens"),
    "tokenEfficiency": Selectable({"token_efficiency": TOKEN_EFFICIENCY}),
    "amount": Selectable({"amount": PLAIN_AMOUNT, "currency": "currency", "amount_source": "amount_source"}),
    "amountUnknown": _value("amount_unknown"),
    "amountParts": _value("amount_parts"),
    "netAmount": Selectable(
        {"amount": PLAIN_AMOUNT, "currency": "currency", "amount_source": "amount_source", **_PLACE}
    ),
    "corrects": _value(*_PLACE, "correction_of"),
    "corrections": _value(*_PLACE),
    "correctedAt": _value("corrected_at"),
    "latencyMs": _value("latency_ms"),
    "timeToFirstTokenMs": _value("time_to_first_token_ms"),
    "tags": _value("tags"),
    "errorType": _text("error_type"),
    "errorCode": _text("error_code"),
    "error": _value("account_id", "tier", "error_at", "id"),
    "traceId": _text("trace_id"),
    "sessionId": _text("session_id"),
    "attempt": _value("attempt"),
    "cacheHit": _value("cache_hit"),
    "deployment": _text("deployment"),
    "team": _text("team"),
    "organization": _text("organization"),
    "normalizedError": _text("normalized_error"),
    "providerRequestId": _text("provider_request_id"),
    "units": _value("units"),
}

SEALED: Final = _value("account_id", "tier", "occurred_at", "id", "sealed")

ERROR_FIELDS: Final[Mapping[str, Selectable]] = {
    "id": _value("account_id", "id", "occurred_at"),
    "call": _value("account_id", "tier", "started_at", "id"),
    "type": _text("error_type"),
    "code": _text("error_code"),
    "message": SEALED,
    "disclosure": SEALED,
    "parameters": SEALED,
    "occurredAt": _value("occurred_at"),
    "fingerprint": _value("fingerprint"),
    "redactions": _value("rules", "rule_counts"),
}

CALLS: Final = Table(
    name="call",
    kind="calls",
    time="started_at",
    time_field="startedAt",
    store=Store.CALL,
    filters=CALL_FILTERS,
    fields=CALL_FIELDS,
    orders={
        "STARTED_AT": Sortable("started_at", "timestamptz", ("Call.startedAt",)),
        "AMOUNT": Sortable("amount", "numeric", ("Call.amount", "Amount.amount")),
        "LATENCY": Sortable("latency_ms", "integer", ("Call.latencyMs",)),
        "TOTAL_TOKENS": Sortable(f"({TOTAL_TOKENS})", "bigint", ("Call.totalTokens",)),
    },
    time_order="STARTED_AT",
)

ERRORS: Final = Table(
    name="call_error",
    kind="errors",
    time="occurred_at",
    time_field="occurredAt",
    store=Store.CALL_ERROR,
    filters=ERROR_FILTERS,
    fields=ERROR_FIELDS,
    orders={"OCCURRED_AT": Sortable("occurred_at", "timestamptz", ("CallError.occurredAt",))},
    time_order="OCCURRED_AT",
)
