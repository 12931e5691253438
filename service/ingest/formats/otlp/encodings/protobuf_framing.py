"""Where the spans lie in a binary `ExportTraceServiceRequest`, found by lengths alone, in steps.

A parser of Protocol Buffers takes a body as a whole, for as long as that lasts, and one broken span costs all others.
Only tags and lengths of the outer messages are read here; what is inside of a span its own reader sees.
"""

from array import array
from collections.abc import Generator, Iterator
from typing import Final

from service.ingest.errors import BodyError
from service.ingest.formats.otlp.encodings.rows import SpanGroup, SpanGroups, carried, check_count

_RESOURCE_SPANS: Final = 1  # of ExportTraceServiceRequest
_RESOURCE: Final = 1  # of ResourceSpans
_SCOPE_SPANS: Final = 2
_SPANS: Final = 2  # of ScopeSpans

_VARINT, _FIXED64, _WITH_LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX: Final = 10
_STEP_FIELDS: Final = 500
_FIELDS_MAX: Final = 200_000


def split_protobuf(body: bytes) -> Generator[None, None, SpanGroups]:
    """The spans of a body (opentelemetry/proto/collector/trace/v1), in steps of a millisecond. Raises BodyError."""
    walk = _FieldWalk(body)
    groups: list[SpanGroup] = []
    count = 0
    for _, first, last in _triples((yield from walk.fields(0, len(body), _RESOURCE_SPANS))):
        inner = yield from walk.fields(first, last, _RESOURCE, _SCOPE_SPANS)
        # Parts of one resource are one, as for every parser; it may stand behind its spans.
        resource = carried(b"".join([body[start:end] for number, start, end in _triples(inner) if number == _RESOURCE]))
        for number, start, end in _triples(inner):
            if number == _SCOPE_SPANS:
                spans = yield from walk.fields(start, end, _SPANS)
                groups.append(SpanGroup(resource, [(start, end) for _, start, end in _triples(spans)]))
                check_count(count := count + len(groups[-1].spans))
    return SpanGroups(body, groups)


def _triples(fields: "array[int]") -> Iterator[tuple[int, int, int]]:
    values = iter(fields)
    return zip(values, values, values, strict=True)


class _FieldWalk:
    """Reads the fields of messages, and counts them: a body may hold millions of empty ones."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._seen = 0

    def fields(self, at: int, end: int, *numbers: int) -> "Generator[None, None, array[int]]":
        """Number, start and end of each field of these numbers that has a length. BodyError where a field reaches
        beyond its message.
        """
        found = array("Q")  # of numbers alone: to free as many objects would take long
        yield from self._counted()  # a message without fields is work too
        while at < end:
            tag, at = self._varint(at, end)
            kind, length = tag & 7, 0
            if kind == _WITH_LENGTH:
                length, at = self._varint(at, end)
                if tag >> 3 in numbers:
                    found.extend((tag >> 3, at, at + length))
            elif kind == _VARINT:
                _, at = self._varint(at, end)
            elif kind in (_FIXED64, _FIXED32):
                length = 8 if kind == _FIXED64 else 4
            else:
                raise _broken()
            at += length
            yield from self._counted()
        if at > end:
            raise _broken()
        return found

    def _counted(self) -> Iterator[None]:
        self._seen += 1
        if self._seen % _STEP_FIELDS == 0:
            if self._seen > _FIELDS_MAX:
                raise BodyError(f"the body holds more than {_FIELDS_MAX} fields: send fewer spans at a time")
            yield

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
