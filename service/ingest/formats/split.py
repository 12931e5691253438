"""From a body to its rows, each still JSON text. The form is found by looking, never from Content-Type.

A row is judged alone: one that is not JSON comes out as it is, for its own rejection. Bodies may be large, so that the
work is cut into steps, between which other requests can have their turn.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import msgspec

from service.ingest.errors import BodyError
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.row_scanner import WINDOW_BYTES, RowScanner, part_of
from service.ingest.refusals import Refusal
from service.offload import TURN_S, clock, next_turn

Row: TypeAlias = "bytes | msgspec.Raw"
_Made = TypeVar("_Made")

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_ROWS_MAX: Final = 500_000
_AT_ONCE_BYTES_MAX: Final = 2**18
"""What msgspec may read in one go: at its worst, an array of empty arrays, that takes 4 ms."""

_PLACES_MAX: Final = 1000
_TRIES_MAX: Final = 8
_BETWEEN_BYTES_MAX: Final = 80
"""How far before a row the end of the one before it is looked for: its bracket, a comma, and few blanks."""

_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_FIRST: Final = (b"{", b"n")
"""How a row begins: an object, or null."""
_OBJECT: Final = b"{"[0]
_BLANK_OR_COMMA: Final = _BLANK + b","
_BETWEEN_ROWS: Final = re.compile(rb"\n(?=[^ \t\r\n}\],])")
"""The end of a line before one that begins with its first character, and not with what closes an object."""
_BEGINNING: Final = re.compile(rb'[ \t\r\n]*(\{[ \t\r\n]{0,40}"[^"\\]{1,40}")')


async def in_turns(steps: Generator[None, None, _Made]) -> _Made:
    """The result of work that is done in steps, with turns for others between them."""
    until = clock() + TURN_S
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: _Made = end.value
            return made
        if clock() > until:
            until = await next_turn()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one row was not taken. `reason` names the field and never quotes content.

    Without a `code` nothing is refused: the row is no call, as most spans of a trace.
    """

    reason: str
    code: Refusal | None = Refusal.FIELD_INVALID


def split_rows(body: bytes) -> list[Row]:
    """The rows of one object, a JSON array or NDJSON, in order; blank lines are none.

    A row that is not JSON comes out as it is, for its own rejection. Raises BodyError, before the first row, when the
    body is in none of the three forms or holds more than half a million rows.
    """
    steps = splitting(body)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            rows: list[Row] = end.value
            return rows


def splitting(body: bytes) -> Generator[None, None, list[Row]]:
    """As `split_rows`, in steps of a few milliseconds at most; the rows are its result."""
    start = len(_BOM) if body.startswith(_BOM) else 0
    if body[start : start + 1] not in (b"[", b"{") or body[-1:] in _BLANK:
        body = yield from _stripped(body, start)
    elif start:
        body = body[start:]
    rows = yield from (_array(body) if body.startswith(b"[") else _lines(body))
    if len(rows) > _ROWS_MAX:
        raise BodyError(f"the body holds more than {_ROWS_MAX} calls: send fewer at a time")
    return rows


def _stripped(body: bytes, start: int) -> Generator[None, None, bytes]:
    """The body without the blanks around it, looked for a window at a time."""
    end, first = len(body), b""
    while start < end and not (first := body[start : start + WINDOW_BYTES].lstrip(_BLANK)):
        start += WINDOW_BYTES
        yield
    if start >= end:
        raise BodyError
    start = min(start + WINDOW_BYTES, end) - len(first)
    while not (last := body[max(start, end - WINDOW_BYTES) : end].rstrip(_BLANK)):
        end -= WINDOW_BYTES
        yield
    return body[start : max(start, end - WINDOW_BYTES) + len(last)]


def _array(body: bytes) -> Generator[None, None, list[Row]]:
    rows: list[Row] = []
    at = yield from _well_formed(body, rows)
    if at <= len(body) and _begins_with_array(body):
        return (yield from _odd_lines(body if b"\n" in body else body.replace(b"\r", b"\n")))
    if at <= len(body):
        scanner = RowScanner(body, at)
        for _ in scanner.steps():
            if len(rows) + len(scanner.rows) > _ROWS_MAX:
                break
            yield
        rows += scanner.rows
        if not (rows or body.endswith(b"]")) or not (yield from _any_readable(rows)):
            raise BodyError("the body cannot be read: it starts like a JSON array and is none")
    return rows


def _begins_with_array(body: bytes) -> bool:
    """Whether the first of several lines is an array by itself, so that each line may be one."""
    ends = [end for end in (body.find(b"\n"), body.find(b"\r")) if 0 <= end <= _AT_ONCE_BYTES_MAX]
    line = body[: min(ends)].rstrip(_BLANK_OR_COMMA) if ends else b""
    return line.endswith(b"]") and is_json(line)


def _well_formed(body: bytes, rows: list[Row]) -> Generator[None, None, int]:
    """Take rows for as long as nothing is wrong. Returns where the next row begins; past the body when there is none.

    A large array is read in windows that end where a row begins like the first one of all. That a window is an array by
    itself proves that it was no place inside of a row.
    """
    at, beginning = 1, _BEGINNING.match(body, 1)
    while at <= len(body) and len(rows) <= _ROWS_MAX:
        start = at
        for stop in _ends_of_window(body, at, beginning[1] if beginning else b""):
            try:
                rows += _ARRAY.decode(body if (at, stop) == (1, len(body)) else _window(body, at, stop))
                at = stop + 1
                break
            except (ValueError, RecursionError):
                yield
        if at == start:
            break
        yield
    return at


def _ends_of_window(body: bytes, at: int, beginning: bytes) -> Iterator[int]:
    """Where a window that begins at `at` may end: with the body, or with one of the last commas between two objects.

    Objects inside of rows may begin like rows do, as in LiteLLM's payloads, and stand in lists: some places are tried.
    """
    start = at + _AT_ONCE_BYTES_MAX
    if start >= len(body):
        yield len(body)
    elif beginning:
        tried = 0
        for _ in range(_PLACES_MAX):
            start = body.rfind(beginning, at + 1, start)
            if start < 0 or tried == _TRIES_MAX:
                break
            before = body[max(at, start - _BETWEEN_BYTES_MAX) : start].rstrip(_BLANK)
            if before.endswith(b",") and before[:-1].rstrip(_BLANK).endswith(b"}"):
                tried += 1
                yield body.rfind(b",", at, start)


def _window(body: bytes, at: int, stop: int) -> bytes:
    return b"[" + body[at:] if stop == len(body) else b"[" + body[at:stop] + b"]"


def _lines(body: bytes) -> Generator[None, None, list[Row]]:
    """NDJSON, whose lines may be arrays, have commas behind them or end with CR, or objects over several lines."""
    if b"\n" not in body and b"\r" in body:
        body = body.replace(b"\r", b"\n")
    rows: list[Row] = []
    at, plain = 0, True
    while at < len(body):
        # Windows end with a line, so that none is cut.
        cut = body.rfind(b"\n", at, at + WINDOW_BYTES) + 1 or body.find(b"\n", at + WINDOW_BYTES) + 1 or len(body)
        cut = cut if len(body) - at > WINDOW_BYTES else len(body)
        if cut - at > WINDOW_BYTES:  # one line
            plain = plain and body[at] == _OBJECT and not body[cut - 3 : cut].rstrip(_BLANK).endswith(b",")
            if not (yield from _is_blank(body, at, cut)):
                rows.append(part_of(body, at, cut))
        else:
            lines = [line for line in body[at:cut].strip(_BLANK).split(b"\n") if line.strip(_BLANK)]
            plain = plain and all(line[0] == _OBJECT and not line.endswith((b",", b",\r")) for line in lines)
            rows += lines
        at = cut
        if len(rows) > _ROWS_MAX:
            break
        yield
    if not plain or not _is_readable(rows[0]):
        rows = yield from _odd_lines(body)
    if not (yield from _any_readable(rows)):
        raise BodyError
    return rows


def _odd_lines(body: bytes) -> Generator[None, None, list[Row]]:
    """The rows of lines that are not one object each: as brackets say, if all of them fit together.

    Otherwise what begins at a line's first character, up to the next that does so, is one row if that makes it whole:
    printers of JSON begin the lines inside of an object with blanks.
    """
    scanner = RowScanner(body, 0)
    for _ in scanner.steps():
        if scanner.is_broken or len(scanner.rows) > _ROWS_MAX:
            break
        yield
    found = _pieces(body) if scanner.is_broken else iter(scanner.rows)
    rows: list[Row] = []
    looked_at = 0
    for row in found:
        if bytes(memoryview(row)[:1]) == b"[":
            rows += yield from _array_line(bytes(row))
        else:
            rows.append(row.rstrip(_BLANK) if len(row) <= WINDOW_BYTES else row)
        looked_at += len(row) + 100
        if looked_at > WINDOW_BYTES:
            looked_at = 0
            yield
        if len(rows) > _ROWS_MAX:
            break
    return rows


def _pieces(body: bytes) -> Iterator[Row]:
    at = 0
    while at < len(body):
        match = _BETWEEN_ROWS.search(body, at)
        end = match.start() if match else len(body)
        piece = part_of(body, at, end)
        if end - at <= WINDOW_BYTES:
            yield from _of_piece(piece.strip(_BLANK_OR_COMMA))
        else:
            yield piece
        at = end + 1


def _of_piece(piece: bytes) -> list[bytes]:
    lines = [line.strip(_BLANK_OR_COMMA) for line in piece.split(b"\n")]
    whole = is_json(piece) or not any(_is_readable(line) for line in lines)
    return [line for line in ([piece] if whole else lines) if line]


def _array_line(line: bytes) -> Generator[None, None, list[Row]]:
    try:
        return (yield from _array(line))
    except BodyError:
        return [line]


def _is_blank(body: bytes, at: int, end: int) -> Generator[None, None, bool]:
    while at < end:
        if body[at : min(at + WINDOW_BYTES, end)].strip(_BLANK):
            return False
        at += WINDOW_BYTES
        yield
    return True


def _any_readable(rows: Sequence[Row]) -> Generator[None, None, bool]:
    looked_at = 0
    for row in rows:
        if _is_readable(row):
            return True
        looked_at += len(row) + 100
        if looked_at > WINDOW_BYTES:
            looked_at = 0
            yield
    return False


def _is_readable(row: Row) -> bool:
    """Whether a row is JSON, or so large that its reader shall find out."""
    if bytes(memoryview(row)[:WINDOW_BYTES]).lstrip(_BLANK)[:1] not in _FIRST:
        return False
    return len(row) > _AT_ONCE_BYTES_MAX or is_json(row) or is_json(repaired(bytes(row)))


def is_json(text: Row) -> bool:
    """Whether `text` is one JSON value, however deeply nested; UTF-8 is not checked."""
    try:
        _ANY.decode(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
