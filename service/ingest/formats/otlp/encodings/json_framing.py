"""Where the spans lie in an `ExportTraceServiceRequest` as JSON, found by brackets and strings alone, in steps.

The JSON encoding of OTLP has names in lowerCamelCase (OTLP 1.10, "JSON Protobuf Encoding"). A value that cannot be read
costs its span alone; where brackets do not fit together, nothing after them can be told apart.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Final, TypeAlias

import msgspec

from service.ingest.errors import BodyError
from service.ingest.formats.otlp.encodings.rows import SpanGroup, SpanGroups, carried, check_count
from service.ingest.formats.row_scanner import BrokenError, RowScanner

_Steps: TypeAlias = Generator[None, None, int]
"""Work in steps; its result is where it came to."""
_Visit: TypeAlias = Callable[[int], _Steps]

_STEP_VALUES: Final = 200
_VALUES_MAX: Final = 200_000
_KEY_BYTES_MAX: Final = 64
_TEXT: Final = msgspec.json.Decoder(str)
_BOM: Final = b"\xef\xbb\xbf"


def split_json(body: bytes) -> Generator[None, None, SpanGroups]:
    """The spans of a body, in steps of a few milliseconds at most. Raises BodyError."""
    framing = _Framing(body)
    try:
        yield from framing.read()
    except BrokenError:
        raise BodyError("the body is no ExportTraceServiceRequest in JSON, or its end is missing") from None
    return SpanGroups(body, framing.groups)


class _Framing:
    def __init__(self, body: bytes) -> None:
        self.groups: list[SpanGroup] = []
        self._body = body
        self._scanner = RowScanner(body, 0)
        self._resource = b""
        self._spans: list[tuple[int, int]] = []
        self._values = self._count = 0

    def read(self) -> _Steps:
        """Find the spans of the whole body. Raises BrokenError."""
        start = len(_BOM) if self._body.startswith(_BOM) else 0
        at = yield from self._scanner.past_blanks(start)
        at = yield from self._object(at, {"resourceSpans": lambda at: self._array(at, self._resource_spans)})
        at = yield from self._scanner.past_blanks(at)
        if at != len(self._body):
            raise BrokenError(at)
        return at

    def _resource_spans(self, at: int) -> _Steps:
        self._resource, self._spans = b"", []
        wanted: Mapping[str, _Visit] = {
            "resource": self._of_resource,
            "scopeSpans": lambda at: self._array(at, self._scope_spans),
        }
        at = yield from self._object(at, wanted)
        if self._spans:
            self.groups.append(SpanGroup(carried(self._resource), self._spans))
        return at

    def _of_resource(self, at: int) -> _Steps:
        end = yield from self._scanner.end_of(at)
        self._resource = self._body[at:end]
        return end

    def _scope_spans(self, at: int) -> _Steps:
        return (yield from self._object(at, {"spans": lambda at: self._array(at, self._span)}))

    def _span(self, at: int) -> _Steps:
        end = yield from self._scanner.end_of(at)
        self._spans.append((at, end))
        self._count += 1
        check_count(self._count)
        return end

    def _object(self, at: int, wanted: Mapping[str, _Visit]) -> _Steps:
        """Visit the values of the wanted keys of the object at `at`. BrokenError where there is none."""
        at = yield from self._opened(at, b"{")
        while not self._is(at, b"}"):
            start, at = at, (yield from self._scanner.end_of_string(at))
            visit = wanted.get(self._text(start, at))
            at = yield from self._scanner.past_blanks(at)
            at = yield from self._opened(at, b":")
            at = yield from (self._scanner.end_of(at) if visit is None or self._is(at, b"n") else visit(at))
            at = yield from self._next(at, b"}")
        return at + 1

    def _array(self, at: int, visit: _Visit) -> _Steps:
        """Visit the values of the array at `at`. BrokenError where there is none."""
        at = yield from self._opened(at, b"[")
        while not self._is(at, b"]"):
            at = yield from visit(at)
            at = yield from self._next(at, b"]")
        return at + 1

    def _text(self, start: int, end: int) -> str:
        if end - start > _KEY_BYTES_MAX:
            return ""
        try:
            return _TEXT.decode(self._body[start:end])
        except ValueError:
            raise BrokenError(start) from None

    def _opened(self, at: int, sign: bytes) -> _Steps:
        if not self._is(at, sign):
            raise BrokenError(at)
        return (yield from self._scanner.past_blanks(at + 1))

    def _next(self, at: int, closing: bytes) -> _Steps:
        """Where the next value begins, or the bracket that closes them stands."""
        self._values += 1
        if self._values % _STEP_VALUES == 0:
            if self._values > _VALUES_MAX:
                raise BodyError(f"the body holds more than {_VALUES_MAX} values around its spans: send fewer at a time")
            yield
        at = yield from self._scanner.past_blanks(at)
        if self._is(at, closing):
            return at
        at = yield from self._opened(at, b",")
        if self._is(at, closing):
            raise BrokenError(at)
        return at

    def _is(self, at: int, sign: bytes) -> bool:
        return self._body[at : at + 1] == sign
