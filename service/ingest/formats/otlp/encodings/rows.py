"""A span with the resource that sent it, as one row of bytes: so rows of traces wait and travel as rows of any format.

A row is the length of its resource in four bytes, the resource, and the span, both in the encoding of their body.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from service.ingest.errors import BodyError
from service.ingest.formats.split import Row

RESOURCE_BYTES_MAX: Final = 2**13
"""What is carried along with each span of a resource; of a larger one nothing is read, for every span repeats it."""

SPANS_MAX: Final = 100_000
_LENGTH: Final = Struct(">I")


class SpanGroup(NamedTuple):
    """The resource of several spans, and where each of them begins and ends in the body."""

    resource: bytes
    spans: list[tuple[int, int]]


@dataclass(slots=True)
class SpanGroups:
    """The spans of a body, in order."""

    body: bytes
    groups: list[SpanGroup]

    def rows(self) -> Iterator[Row]:
        """The rows, each made when it is asked for: a resource that is repeated for all spans may be most of them."""
        body = memoryview(self.body)
        for resource, spans in self.groups:
            head = _LENGTH.pack(len(resource)) + resource
            for start, end in spans:
                yield b"".join((head, body[start:end]))


def carried(resource: bytes) -> bytes:
    """The resource as its rows carry it."""
    return resource if len(resource) <= RESOURCE_BYTES_MAX else b""


def opened(row: Row) -> tuple[bytes, bytes]:
    """Resource and span of a row."""
    whole = bytes(row)
    end = _LENGTH.size + _LENGTH.unpack_from(whole)[0]
    return whole[_LENGTH.size : end], whole[end:]


def check_count(spans: int) -> None:
    """Raises BodyError when there are more spans than one body may hold."""
    if spans > SPANS_MAX:
        raise BodyError(f"the body holds more than {SPANS_MAX} spans: send fewer at a time")
