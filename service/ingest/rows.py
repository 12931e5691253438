"""From a body to its rows, each still JSON text. The form is found by looking, never from Content-Type."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from service.ingest.errors import BodyError

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_ROWS_MAX: Final = 500_000
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_Row = TypeVar("_Row")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Every escape of a JSON string, so that an escaped backslash is never mistaken for the start of the next escape.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one row was not taken. `reason` names the field and never quotes content."""

    reason: str


def split_rows(body: bytes) -> Iterator[bytes | msgspec.Raw]:
    """The rows of one object, a JSON array or NDJSON, in order; blank lines are none.

    A line that is not JSON comes out as it is, for its own rejection. Raises BodyError, before the first row, when
    the body is in none of the three forms or holds more than half a million rows.
    """
    body = body.removeprefix(_BOM).strip(_BLANK)
    if not body.startswith((b"[", b"{", b"null")):
        raise BodyError
    if body.startswith(b"["):
        return iter(_bounded(_array(body)))
    lines = [line for line in body.split(b"\n") if line.strip(_BLANK)]
    if len(lines) > 1 and not is_json(lines[0]) and is_json(body):
        return iter((body,))  # one object over several lines
    if not any(is_json(line) for line in lines):
        raise BodyError
    return iter(_bounded(lines))


def is_json(text: bytes) -> bool:
    """Whether `text` is one JSON value, halves of surrogate pairs allowed; UTF-8 is not checked."""
    return _is_json(text) or (_SURROGATE.search(text) is not None and _is_json(repair_surrogates(text)))


def _is_json(text: bytes) -> bool:
    try:
        _ANY.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def repair_surrogates(text: bytes) -> bytes:
    """The same JSON with U+FFFD for halves of surrogate pairs, which JSON can write and UTF-8 cannot."""
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], text)


def _array(body: bytes) -> list[msgspec.Raw]:
    try:
        try:
            return _ARRAY.decode(body)
        except ValueError:
            if not _SURROGATE.search(body):
                raise
            return _ARRAY.decode(repair_surrogates(body))
    except RecursionError:
        raise BodyError("the body cannot be read: it is nested too deeply") from None
    except ValueError:
        raise BodyError("the body cannot be read: it starts like a JSON array and is none") from None


def _bounded(rows: list[_Row]) -> list[_Row]:
    if len(rows) > _ROWS_MAX:
        raise BodyError(f"the body holds more than {_ROWS_MAX} calls: send fewer at a time")
    return rows
