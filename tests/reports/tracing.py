"""Traces as exporters send them, in both encodings of OTLP, made of the same plain description."""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

STARTED = datetime(2026, 11, 22, 10, 0, 0, 123_000, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(number: int = 1, *, parent: int | None = None, failed: str | None = None, **options: Any) -> Span:
    """A span of `seconds` (0.5) that began `at`; `attributes` and `events` ({name: attributes}) as they are given."""
    start = round(options.get("at", STARTED).timestamp() * 1000) * 10**6
    made = Span(
        trace_id=bytes.fromhex(options.get("trace", TRACE)),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        name="chat",
        start_time_unix_nano=start,
        end_time_unix_nano=start + round(options.get("seconds", 0.5) * 10**9),
        attributes=attributes(options.get("attributes", {})),
    )
    for name, facts in options.get("events", {}).items():
        made.events.add(name=name, time_unix_nano=start + 10**8, attributes=attributes(facts))
    if failed is not None:
        made.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=failed))
    return made


def chat(number: int = 1, more: Mapping[str, Any] | None = None, **options: Any) -> Span:
    """A span of a call by the conventions of OpenTelemetry."""
    facts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
    }
    return span(number, attributes=facts | dict(more or {}), **options)


def attributes(facts: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in facts.items()]


def any_value(value: Any) -> AnyValue:
    made = AnyValue()
    if isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, int):
        made.int_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, str):
        made.string_value = value
    elif isinstance(value, bytes):
        made.bytes_value = value
    elif isinstance(value, list):
        made.array_value.values.extend(any_value(item) for item in value)
    elif isinstance(value, dict):
        made.kvlist_value.values.extend(attributes(value))
    return made


def export(*spans: Span, resource: Mapping[str, Any] | None = None) -> ExportTraceServiceRequest:
    """What an exporter sends of one resource."""
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add()
    one.resource.attributes.extend(attributes({"service.name": "shop"} if resource is None else resource))
    one.scope_spans.add().spans.extend(spans)
    return request


def as_protobuf(request: ExportTraceServiceRequest) -> bytes:
    return request.SerializeToString()


def as_json(request: ExportTraceServiceRequest) -> bytes:
    """By OTLP's rules, which differ from those of Protocol Buffers in one thing: ids are in hex."""
    document = MessageToDict(request)
    for one in _spans(document):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in one:
                one[name] = base64.b64decode(one[name]).hex()
    return json.dumps(document).encode()


def _spans(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for resource in document.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())
