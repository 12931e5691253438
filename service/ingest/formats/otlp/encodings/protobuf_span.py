"""A span in Protocol Buffers, read by the messages that OpenTelemetry publishes."""

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from service.ingest.formats.figures import Value
from service.ingest.formats.otlp.encodings.rows import opened
from service.ingest.formats.otlp.encodings.span import Event, Span
from service.ingest.formats.rejections import RowError
from service.ingest.formats.split import Row
from service.ingest.refusals import Refusal

_ERROR: Final = Status.STATUS_CODE_ERROR


def decode_protobuf(row: Row) -> Span:
    """The span of a row. RowError for what is none."""
    resource, span = opened(row)
    try:
        message = Message.FromString(span)
        of_resource = _resource(resource)
    except DecodeError:
        raise RowError("the span is no valid protobuf", code=Refusal.ROW_UNREADABLE) from None
    return Span(
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex() or None,
        start_ns=message.start_time_unix_nano,
        end_ns=message.end_time_unix_nano,
        has_failed=message.status.code == _ERROR,
        status_message=message.status.message,
        attributes=_attributes(message.attributes),
        events=[Event(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in message.events],
        resource=of_resource,
    )


@lru_cache(maxsize=64)
def _resource(resource: bytes) -> dict[str, Value]:
    return _attributes(Resource.FromString(resource).attributes)


def _attributes(listed: Iterable[KeyValue]) -> dict[str, Value]:
    return {entry.key: _value(entry.value) for entry in listed}


def _value(value: AnyValue) -> Value:
    """The value; None for an empty one, and for bytes, which no name that is read has."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        return Decimal(repr(value.double_value))
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {entry.key: _value(entry.value) for entry in value.kvlist_value.values}
    return None
