"""What stands for each field of a row in a generated loop, as Python source.

Every name in the source is one of ours: columns by their aliases (`c_model`), functions by their own. Of what a caller
wrote only response keys stand there, and those as literals. A value that the schema could not answer (null where there
is none, an Int beyond 32 bits) raises UnsupportedValueError, and graphql-core decides what becomes of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn

import orjson

from policies import pseudonym
from policies.policy.model import Policy
from service.query.filters.to_sql import fingerprint_text
from service.query.scan.user_tokens import period_label
from service.storage.ids import encode_error_id
from service.storage.sources import AMOUNT_SOURCE_NAMES, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES

INT_MAX: Final = 2**31 - 1
INT_MIN: Final = -(2**31)
OWN_MOMENT: Final = "@moment"
"""Stands for a row's time until it is known how the rows have it. No response key can hold the `@`."""
_WITH_MICROSECONDS: Final = len("2026-11-22T10:00:00.123456Z")


class UnsupportedValueError(Exception):
    """The value is not one that the compiled operation may answer."""


def unsupported() -> NoReturn:
    raise UnsupportedValueError


def text(value: object) -> str | None:
    """JSON text or null, and nothing that would have to be made into text first."""
    if value is None or isinstance(value, str):
        return value
    raise UnsupportedValueError


def some_text(value: object) -> str:
    return value if isinstance(value, str) else unsupported()


def int32(value: Any) -> int:  # noqa: ANN401 - whatever the database holds
    return value if INT_MIN <= value <= INT_MAX else unsupported()


def real(value: float | None) -> float | None:
    return value if value is None or isfinite(value) else unsupported()


def decimal(value: str | None) -> str | None:
    """As the scalar answers it: plain notation without needless zeros."""
    if value is None:
        return None
    plain = format(Decimal(value), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def moment_texts(moments: Sequence[datetime]) -> list[str]:
    """RFC 3339 in UTC with milliseconds, as the scalar answers it. orjson writes all of them at once."""
    if not moments:
        return []
    texts = orjson.dumps(moments, option=orjson.OPT_UTC_Z).decode("ascii")[2:-2].split('","')
    # With microseconds, or without a fraction when there are none.
    return [f"{text[:23]}Z" if len(text) == _WITH_MICROSECONDS else f"{text[:19]}.000Z" for text in texts]


def source(value: object) -> str:
    return SOURCE_NAMES.get(value, "unknown") if isinstance(value, int) else some_text(value)


def user_of(policy: Policy) -> Callable[[int | None, Any], str | None]:
    """The pseudonym of a row's token, under the policy's period."""

    def user(token: int | None, started_at: Any) -> str | None:  # noqa: ANN401 - the row's moment
        return None if token is None else pseudonym.outward(token, period_label(policy, started_at))

    return user


FUNCTIONS: Final[Mapping[str, Any]] = {
    "doubt": unsupported,
    "text": text,
    "some_text": some_text,
    "whole": int32,
    "real": real,
    "decimal": decimal,
    "source": source,
    "loads": orjson.loads,
    "encode_error_id": encode_error_id,
    "fingerprint_text": fingerprint_text,
    "amount_sources": AMOUNT_SOURCE_NAMES,
    "amount_reasons": AMOUNT_UNKNOWN_NAMES,
}


def _text(column: str) -> str:
    """What the schema promises to have a value is `NOT NULL` in the database."""
    return f"c_{column}"


def _int(column: str) -> str:
    """A PostgreSQL `integer` is what GraphQL calls an Int."""
    return f"c_{column}"


CALL: Final[Mapping[str, str]] = {
    "id": "own_id",
    "sourceId": _text("source_id"),
    "source": "source(c_source)",
    "startedAt": OWN_MOMENT,
    "account": "some_text(names.get(c_account, c_account))",
    "apiKey": _text("api_key"),
    "user": "user(c_user_token, c_started_at)",
    "model": _text("model"),
    "servedModel": _text("served_model"),
    "provider": _text("provider"),
    "operation": _text("operation"),
    "status": '("FAILED" if c_failed else "SUCCEEDED")',
    "streamed": _text("streamed"),
    "inputTokens": _int("input_tokens"),
    "outputTokens": _int("output_tokens"),
    "totalTokens": "(None if c_total_tokens is None else str(c_total_tokens))",
    "cacheReadTokens": _int("cache_read_tokens"),
    "cacheWriteTokens": _int("cache_write_tokens"),
    "reasoningTokens": _int("reasoning_tokens"),
    "tokenEfficiency": "real(c_token_efficiency)",
    "amountUnknown": "(None if c_amount_unknown is None else amount_reasons[c_amount_unknown])",
    "latencyMs": _int("latency_ms"),
    "timeToFirstTokenMs": _int("time_to_first_token_ms"),
    "errorType": _text("error_type"),
    "errorCode": _text("error_code"),
    "traceId": _text("trace_id"),
    "sessionId": _text("session_id"),
    "attempt": _int("attempt"),
    "cacheHit": _text("cache_hit"),
    "deployment": _text("deployment"),
    "team": _text("team"),
    "organization": _text("organization"),
    "normalizedError": _text("normalized_error"),
    "providerRequestId": _text("provider_request_id"),
}
ERROR: Final[Mapping[str, str]] = {
    "id": "encode_error_id(c_account_id, c_id, c_occurred_at)",
    "type": _text("error_type"),
    "code": _text("error_code"),
    "message": "text(details.message)",
    "disclosure": "details.disclosure",
    "occurredAt": OWN_MOMENT,
    "fingerprint": "fingerprint_text(c_fingerprint)",
}
SCALARS: Final[Mapping[str, Mapping[str, str]]] = {"Call": CALL, "CallError": ERROR}
"""Fields without fields of their own."""

PARTS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "Call.amount": (
        "(None if c_amount is None or c_currency is None else {entries})",
        {"amount": "c_amount", "currency": "c_currency", "source": "amount_sources[c_amount_source]"},
    ),
    "Call.amountParts": (
        "(None if c_amount_parts is None else [{entries} for part in loads(c_amount_parts)])",
        {
            "meter": 'some_text(part["meter"])',
            "quantity": 'decimal(part.get("quantity"))',
            "unitPrice": 'decimal(part.get("unit_price"))',
            "amount": 'decimal(some_text(part["amount"]))',
            "priceList": 'text(part.get("price_list"))',
        },
    ),
    "Call.tags": (
        "(None if c_tags is None else [{entries} for label, value in sorted(loads(c_tags).items())])",
        {"key": "label", "value": "text(value)"},
    ),
    "Call.units": (
        "(None if c_units is None else [{entries} for label, quantity in sorted(loads(c_units).items())])",
        {"name": "label", "quantity": "decimal(some_text(quantity))"},
    ),
    "CallError.redactions": (
        "[{entries} for rule, count in zip(c_rules, c_rule_counts, strict=True)]",
        {"rule": "some_text(rule)", "count": "whole(count)"},
    ),
    "CallError.parameters": (
        "(None if details.parameters is None else [{entries} for label, value, action in details.parameters])",
        {"name": "some_text(label)", "value": "text(value)", "action": "action"},
    ),
}
"""Fields that hold objects: around `{entries}`, what stands for the object's own fields."""
