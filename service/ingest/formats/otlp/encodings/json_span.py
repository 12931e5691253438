"""A span in JSON: names in lowerCamelCase, ids in hex, 64-bit integers as numbers or as text (OTLP 1.10)."""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from service.ingest.formats.figures import Value, decode, inside
from service.ingest.formats.otlp.encodings.rows import opened
from service.ingest.formats.otlp.encodings.span import Event, Span
from service.ingest.formats.rejections import wrong_json
from service.ingest.formats.split import Row

_ERRORS: Final = (2, "STATUS_CODE_ERROR")
_INTEGER_DIGITS_MAX: Final = 20
_SCALARS: Final = ("stringValue", "boolValue", "intValue", "doubleValue")


def decode_json(row: Row) -> Span:
    """The span of a row. RowError for what is none."""
    resource, text = opened(row)
    try:
        span = decode(text)
    except (ValueError, RecursionError) as error:
        raise wrong_json(text, error) from None
    if not isinstance(span, dict):
        raise wrong_json(text, TypeError("Expected `object`"))
    message = inside(span, "status", "message")
    return Span(
        trace_id=_id(span.get("traceId")),
        span_id=_id(span.get("spanId")),
        parent_id=_id(span.get("parentSpanId")) or None,
        start_ns=_integer(span.get("startTimeUnixNano")),
        end_ns=_integer(span.get("endTimeUnixNano")),
        has_failed=inside(span, "status", "code") in _ERRORS,
        status_message=message if isinstance(message, str) else "",
        attributes=_attributes(span.get("attributes")),
        events=[_event(event) for event in _list(span.get("events"))],
        resource=_resource(resource),
    )


@lru_cache(maxsize=64)
def _resource(text: bytes) -> dict[str, Value]:
    try:
        return _attributes(inside(decode(text), "attributes")) if text else {}
    except (ValueError, RecursionError):
        return {}


def _event(event: Value) -> Event:
    name = inside(event, "name")
    attributes = _attributes(inside(event, "attributes"))
    return Event(name if isinstance(name, str) else "", _integer(inside(event, "timeUnixNano")), attributes)


def _attributes(listed: Value) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    for entry in _list(listed):
        key = inside(entry, "key")
        if isinstance(key, str):
            attributes[key] = _value(inside(entry, "value"))
    return attributes


def _value(value: Value) -> Value:
    if not isinstance(value, dict):
        return None
    for name in _SCALARS:
        if name in value:
            return _number(value[name]) if name in ("intValue", "doubleValue") else value[name]
    if "arrayValue" in value:
        return [_value(item) for item in _list(inside(value["arrayValue"], "values"))]
    return dict(_attributes(inside(value.get("kvlistValue"), "values"))) or None


def _number(value: Value) -> Value:
    """A number that may be written as text."""
    if not isinstance(value, str):
        return value
    if value.lstrip("-").isdecimal() and value.isascii() and len(value) <= _INTEGER_DIGITS_MAX:
        return int(value)
    try:
        return decode(value.encode())
    except (ValueError, RecursionError):
        return Decimal("NaN")


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _id(value: Value) -> str:
    return value.lower() if isinstance(value, str) else ""


def _integer(value: Value) -> int:
    """Nanoseconds; 0, which is no time, for anything else."""
    number = _number(value)
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else 0
