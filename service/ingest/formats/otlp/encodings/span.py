"""A span as both encodings of OTLP have it (opentelemetry/proto/trace/v1/trace.proto), before it is known to be a call.

Ids are lower-case hex, times are nanoseconds since 1970, attributes are JSON values; of two attributes of one name the
last one counts.
"""

from dataclasses import dataclass, field

from service.ingest.formats.figures import Value


@dataclass(slots=True)
class Event:
    """An event of a span, such as an exception."""

    name: str
    at_ns: int
    attributes: dict[str, Value] = field(repr=False)


@dataclass(slots=True)
class Span:
    """`resource` are the attributes of what sent the span. `has_failed`: its status is ERROR."""

    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    has_failed: bool
    status_message: str = field(repr=False)
    attributes: dict[str, Value] = field(repr=False)
    events: list[Event] = field(repr=False)
    resource: dict[str, Value] = field(repr=False)
