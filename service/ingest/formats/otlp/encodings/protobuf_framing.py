"""Where the spans lie in a binary `ExportTraceServiceRequest`, found by lengths alone, in steps.

A parser of Protocol Buffers takes a body as a whole, for as long as that lasts, and one broken span costs all others.
Only tags and lengths of the outer messages are read here; what is inside of a span its own reader sees.
"""

from collections.abc import Generator
from typing import Final, NamedTuple

from service.ingest.errors import BodyError
from service.ingest.formats.otlp.encodings.rows import SpanPart, SpanParts, carried, check_count

_RESOURCE_SPANS: Final = 1  # of ExportTraceServiceRequest
_RESOURCE: Final = 1  # of ResourceSpans
_SCOPE_SPANS: Final = 2
_SPANS: Final = 2  # of ScopeSpans

_VARINT, _FIXED64, _WITH_LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX: Final = 10
_STEP_FIELDS: Final = 500
_FIELDS_MAX: Final = 2_000_000


class _Field(NamedTuple):
    number: int
    start: int
    end: int


def split_protobuf(body: bytes) -> Generator[None, None, SpanParts]:
    """The spans of a body (opentelemetry/proto/collector/trace/v1), in steps of a millisecond. Raises BodyError."""
    walk = _FieldWalk(body)
    parts: list[SpanPart] = []
    for resource_spans in (yield from walk.fields(0, len(body), _RESOURCE_SPANS)):
        inner = yield from walk.fields(resource_spans.start, resource_spans.end, _RESOURCE, _SCOPE_SPANS)
        # Parts of one resource are one, as for every parser; it may stand behind its spans.
        resource = carried(b"".join([body[field.start : field.end] for field in inner if field.number == _RESOURCE]))
        for scope_spans in inner:
            if scope_spans.number == _SCOPE_SPANS:
                spans = yield from walk.fields(scope_spans.start, scope_spans.end, _SPANS)
                parts += [SpanPart(resource, span.start, span.end) for span in spans]
                check_count(parts)
    return SpanParts(body, parts)


class _FieldWalk:
    """Reads the fields of messages, and counts them: a body may hold millions of empty ones."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._seen = 0

    def fields(self, at: int, end: int, *numbers: int) -> Generator[None, None, list[_Field]]:
        """The fields of these numbers that have a length. BodyError where a field reaches beyond its message."""
        found: list[_Field] = []
        while at < end:
            tag, at = self._varint(at, end)
            kind, length = tag & 7, 0
            if kind == _WITH_LENGTH:
                length, at = self._varint(at, end)
                if tag >> 3 in numbers:
                    found.append(_Field(tag >> 3, at, at + length))
            elif kind == _VARINT:
                _, at = self._varint(at, end)
            elif kind in (_FIXED64, _FIXED32):
                length = 8 if kind == _FIXED64 else 4
            else:
                raise _broken()
            at += length
            self._seen += 1
            if self._seen % _STEP_FIELDS == 0:
                if self._seen > _FIELDS_MAX:
                    raise BodyError(f"the body holds more than {_FIELDS_MAX} fields: send fewer spans at a time")
                yield
        if at > end:
            raise _broken()
        return found

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        body, value = self._body, 0
        for index in range(min(_VARINT_BYTES_MAX, end - at)):
            byte = body[at + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, at + index + 1
        raise _broken()


def _broken() -> BodyError:
    return BodyError("the body is no ExportTraceServiceRequest in protobuf, or its end is missing")
