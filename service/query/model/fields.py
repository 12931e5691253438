"""The fields of calls, of errors and of what they hold: the one table that columns, types, objects and compiled loops
are made of.

A field that shows the column of its own name is one entry here. `docs/changing.md` adds one.
"""

from collections.abc import Mapping
from typing import Final

from service.query.model.field import Field, FieldKind, Filterable, Relation, by_name
from service.storage.sources import AMOUNT_SOURCE_NAMES, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES, SOURCE_NUMBERS


def _named(column: str, names: Mapping[int, str]) -> str:
    """The expression of the name that a column has a number for."""
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in names.items())
    return f"(CASE {column} {cases} END)"


_SOURCE_OF_AMOUNT: Final = _named(
    "CASE WHEN amount IS NOT NULL AND currency IS NOT NULL THEN amount_source END", AMOUNT_SOURCE_NAMES
)
AMOUNT_SOURCE: Final = Filterable(
    _SOURCE_OF_AMOUNT, FieldKind.AMOUNT_SOURCE, ("Call.amount", "Amount.source"), "Where the amount comes from."
)
EXPRESSIONS: Final[Mapping[str, str]] = {
    "account": "account_id",
    "amount": "trim_scale(amount)::text",
    "token_efficiency": "output_tokens::double precision / nullif(input_tokens, 0)",
    "recorded_at": "coalesce(recorded_at, started_at)",
    "total_tokens": "CASE WHEN input_tokens IS NOT NULL OR output_tokens IS NOT NULL "
    "THEN coalesce(input_tokens, 0)::bigint + coalesce(output_tokens, 0) END",
    "user_token": "CASE WHEN started_at >= {readable} THEN user_token END",
}
"""SQL by alias; any other alias is a column. `{readable}` stands for the moment before which hashed values are not
shown any more.
"""

AMOUNT: Final = by_name(
    Field("amount", "Decimal!", "How much."),
    Field("currency", "String!", "ISO 4217, or a code that the source names."),
    Field("source", "AmountSource!", "Where the figure comes from.", "amount_sources[c_amount_source]"),
)
_NET_AMOUNT: Final = {**AMOUNT, "amount": Field("amount", "Decimal!", "How much.", "added(c_amount, net)")}
AMOUNT_PART: Final = by_name(
    Field(
        "meter",
        "String!",
        "input, output, cache_read, cache_write, reasoning, request, tools, guardrail, discount, margin or other; or a "
        "unit of a price list.",
        'some_text(part["meter"])',
    ),
    Field("quantity", "Decimal", "How many units.", 'decimal(part.get("quantity"))'),
    Field("unitPrice", "Decimal", "Price of one unit.", 'decimal(part.get("unit_price"))'),
    Field(
        "amount",
        "Decimal!",
        "What the part adds to the amount; a discount is negative.",
        'decimal(some_text(part["amount"]))',
    ),
    Field(
        "priceList",
        "String",
        "The price list that an estimate took the unit price from, as `name@digest`; null: the part was reported.",
        'text(part.get("price_list"))',
    ),
)
TAG: Final = by_name(
    Field("key", "String!", "The label's name.", "label"),
    Field("value", "String", "Its value; masked where the role sees it masked.", "text(value)"),
)
UNIT: Final = by_name(
    Field("name", "String!", "What was counted: images, seconds, characters, searches, pages, requests ...", "label"),
    Field("quantity", "Decimal!", "How much of it.", "decimal(some_text(quantity))"),
)
ERROR_PARAMETER: Final = by_name(
    Field("name", "String!", "Dotted path in the request.", "some_text(label)"),
    Field("value", "String", "Canonical JSON of the value.", "text(value)"),
    Field("action", "ParameterAction!", "What the policy did to it.", "action"),
)
REDACTION: Final = by_name(
    Field("rule", "String!", "Name of the rule.", "some_text(rule)"),
    Field("count", "Int!", "How often it fired in this error.", "int32(count)"),
)

_AMOUNT: Final = "(None if c_amount is None or c_currency is None else {object})"
_CALL_KEY: Final = ("account_id", "tier", "started_at", "id")
CALL: Final = by_name(
    Field(
        "id",
        "ID!",
        "Opaque id.",
        "own_id",
        ("account_id", "id"),
        filter=Filterable("id", FieldKind.CALL_ID, ("Call.id",), "Our id."),
    ),
    Field("sourceId", "String!", "The gateway's own id.", filter=FieldKind.TEXT),
    Field(
        "source",
        "String!",
        f"Adapter that reported it: {', '.join(SOURCE_NUMBERS)}.",
        "source(c_source)",
        filter=Filterable(
            _named("source", SOURCE_NAMES), FieldKind.TEXT, ("Call.source",), "Adapter that reported it."
        ),
    ),
    Field("startedAt", "DateTime!", "When the request reached the gateway.", filter=FieldKind.MOMENT),
    Field(
        "recordedAt",
        "DateTime!",
        "When this ledger stored the call. Of a call from before it kept this, its startedAt.",
        filter=FieldKind.MOMENT,
    ),
    Field(
        "account",
        "String!",
        "The account that the call belongs to.",
        "some_text(names.get(c_account, c_account))",
        filter=FieldKind.ACCOUNT,
    ),
    Field("apiKey", "String", "The gateway's name of the key that was used.", filter=FieldKind.TEXT),
    Field(
        "user",
        "ID",
        "Pseudonym, stable within the policy's pseudonym period; never the plain id.",
        "user(c_user_token, c_started_at)",
        filter=Filterable("user_token", FieldKind.USER, ("Call.user",), "Who called."),
    ),
    Field("model", "String!", "The model that was asked for.", filter=FieldKind.TEXT),
    Field("servedModel", "String", "The model that answered.", filter=FieldKind.TEXT),
    Field("provider", "String", "Who runs the model.", filter=FieldKind.TEXT),
    Field("operation", "String", "What was asked of the model, such as `chat`.", filter=FieldKind.TEXT),
    Field(
        "status",
        "CallStatus!",
        "How the call ended.",
        '("FAILED" if c_failed else "SUCCEEDED")',
        filter=FieldKind.STATUS,
    ),
    Field("streamed", "Boolean", "Whether the answer was streamed.", filter=FieldKind.FLAG),
    Field("inputTokens", "Int", "Input tokens, cache reads and writes included.", filter=FieldKind.INTEGER),
    Field("outputTokens", "Int", "Output tokens, reasoning included.", filter=FieldKind.INTEGER),
    Field(
        "totalTokens",
        "BigInt",
        "Input and output tokens together, as far as they were reported.",
        "(None if c_total_tokens is None else str(c_total_tokens))",
        filter=FieldKind.TOKEN_SUM,
    ),
    Field("cacheReadTokens", "Int", "Input tokens that were read from the provider's cache.", filter=FieldKind.INTEGER),
    Field(
        "cacheWriteTokens", "Int", "Input tokens that were written to the provider's cache.", filter=FieldKind.INTEGER
    ),
    Field("reasoningTokens", "Int", "Output tokens that were spent on reasoning."),
    Field(
        "tokenEfficiency",
        "Float",
        "Output tokens divided by input tokens; null without input.",
        "real(c_token_efficiency)",
        filter=FieldKind.REAL,
    ),
    Field(
        "amount",
        "Amount",
        "Null when it is not known: see amountUnknown.",
        _AMOUNT,
        parts=AMOUNT,
        filter=Filterable(
            "amount",
            FieldKind.DECIMAL,
            ("Call.amount", "Amount.amount"),
            "What it cost. Compares within one currency: needs `currency.eq`.",
        ),
    ),
    Field(
        "amountUnknown",
        "AmountUnknownReason",
        "Why there is no amount; null of a call that has one.",
        "(None if c_amount_unknown is None else amount_reasons[c_amount_unknown])",
        filter=Filterable(
            _named("amount_unknown", AMOUNT_UNKNOWN_NAMES),
            FieldKind.REASON,
            ("Call.amountUnknown",),
            "Why the amount is not known.",
        ),
    ),
    Field(
        "amountParts",
        "[AmountPart!]",
        "How the amount came about (`detailed billing explanations`).",
        "(None if c_amount_parts is None else [{object} for part in loads(c_amount_parts)])",
        parts=AMOUNT_PART,
    ),
    Field(
        "netAmount",
        "Amount",
        "The amount with all corrections of the call; of a correction its own amount.",
        _AMOUNT,
        ("amount", "currency", *_CALL_KEY),
        parts=_NET_AMOUNT,
        weight=2,
    ),
    Field(
        "corrects",
        "Call",
        "Of a correction, the call that it corrects.",
        columns=(*_CALL_KEY, "correction_of"),
        relation=Relation("Call", id="correction_of"),
        weight=2,
    ),
    Field(
        "corrections",
        "[Call!]",
        "The call's corrections in the order in which they were made, a hundred at most; netAmount has all of them.",
        columns=_CALL_KEY,
        relation=Relation("Call", many=True),
        weight=5,
    ),
    Field(
        "correctedAt",
        "DateTime",
        "Of a correction, when it was made; its startedAt is that of the call. Null of a call.",
    ),
    Field("latencyMs", "Int", "Milliseconds from request to the end of the answer.", filter=FieldKind.INTEGER),
    Field("timeToFirstTokenMs", "Int", "Milliseconds from request to the first token.", filter=FieldKind.INTEGER),
    Field(
        "tags",
        "[Tag!]",
        "Labels of the call.",
        "(None if c_tags is None else [{object} for label, value in sorted(loads(c_tags).items())])",
        parts=TAG,
        filter=Filterable(
            "tags", FieldKind.TAGS, ("Call.tags", "Tag.key", "Tag.value"), "All of these tags must match."
        ),
    ),
    Field(
        "errorType",
        "String",
        "The type of the error; kept as long as the call, also after the error's details are gone.",
        filter=FieldKind.TEXT,
    ),
    Field("errorCode", "String", "The code of the error; kept as errorType is.", filter=FieldKind.TEXT),
    Field(
        "error",
        "CallError",
        "Details; null for successes and after the details' window.",
        columns=("account_id", "tier", "error_at", "id"),
        relation=Relation("CallError", "error_at"),
        weight=2,
    ),
    Field(
        "traceId",
        "String",
        "What a call has in common with its retries and fallbacks, and with their traces.",
        filter=FieldKind.TEXT,
    ),
    Field(
        "parentSpanId",
        "String",
        "The id of the span that the call is a part of, which may be another call of the trace: its sourceId ends so.",
        filter=FieldKind.TEXT,
    ),
    Field("sessionId", "String", "The conversation or session that the call is part of.", filter=FieldKind.TEXT),
    Field(
        "attempt",
        "Int",
        "Which attempt it was, from 1: later ones are retries and fallbacks.",
        filter=FieldKind.INTEGER,
    ),
    Field("cacheHit", "Boolean", "Whether the gateway answered from its own cache.", filter=FieldKind.FLAG),
    Field("deployment", "String", "The gateway's name of the deployment that it chose.", filter=FieldKind.TEXT),
    Field("team", "String", "The gateway's name of the team that called.", filter=FieldKind.TEXT),
    Field("teamId", "String", "The gateway's id of that team, beside its name.", filter=FieldKind.TEXT),
    Field("organizationId", "String", "The gateway's id of its organization, beside its name.", filter=FieldKind.TEXT),
    Field("organization", "String", "The gateway's name of the organization that called.", filter=FieldKind.TEXT),
    Field("normalizedError", "String", "The gateway's own word for the kind of the error.", filter=FieldKind.TEXT),
    Field("providerRequestId", "String", "The id under which the provider knows the request.", filter=FieldKind.TEXT),
    Field(
        "units",
        "[Unit!]",
        "What it used beside tokens.",
        "(None if c_units is None else [{object} for label, quantity in sorted(loads(c_units).items())])",
        parts=UNIT,
    ),
)

SEALED: Final = ("account_id", "tier", "occurred_at", "id", "sealed")
CALL_ERROR: Final = by_name(
    Field(
        "id",
        "ID!",
        "Opaque id.",
        "encode_error_id(c_account_id, c_id, c_occurred_at)",
        filter=Filterable("id", FieldKind.ERROR_ID, ("CallError.id",), "Our id."),
    ),
    Field(
        "call",
        "Call",
        "Null when the call is past its window but the error is held.",
        columns=_CALL_KEY,
        relation=Relation("Call"),
        weight=2,
    ),
    Field("type", "String!", "The error's type, such as `RateLimitError`.", "c_error_type", filter=FieldKind.TEXT),
    Field("code", "String", "The provider's or gateway's code.", "c_error_code", filter=FieldKind.TEXT),
    Field(
        "message",
        "String",
        "What the role may see of it; null after the window, when the key is lost, or when the policy drops it.",
        "text(details.message)",
        SEALED,
        weight=2,
    ),
    Field(
        "disclosure",
        "Disclosure!",
        "Why message and parameters are as they are.",
        "details.disclosure",
        SEALED,
        weight=2,
    ),
    Field(
        "parameters",
        "[ErrorParameter!]",
        "Request parameters that the policy lets be kept.",
        "(None if details.parameters is None else [{object} for label, value, action in details.parameters])",
        SEALED,
        parts=ERROR_PARAMETER,
        weight=2,
    ),
    Field("occurredAt", "DateTime!", "When the error occurred.", filter=FieldKind.MOMENT),
    Field(
        "fingerprint",
        "ID!",
        "The same for errors of one kind.",
        "fingerprint_text(c_fingerprint)",
        filter=FieldKind.FINGERPRINT,
    ),
    Field(
        "redactions",
        "[Redaction!]!",
        "Which rules fired on the error's text, and how often.",
        "[{object} for rule, count in zip(c_rules, c_rule_counts, strict=True)]",
        parts=REDACTION,
    ),
)
TYPES: Final[Mapping[str, Mapping[str, Field]]] = {
    "Call": CALL,
    "Amount": AMOUNT,
    "AmountPart": AMOUNT_PART,
    "Tag": TAG,
    "Unit": UNIT,
    "CallError": CALL_ERROR,
    "ErrorParameter": ERROR_PARAMETER,
    "Redaction": REDACTION,
}
"""The types of the schema that rows are shown as, and the fields of each."""
