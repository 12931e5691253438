"""Finds where the rows of a JSON array begin and end although the array, or a row of it, is not valid JSON.

Only brackets and strings are looked at. Where they do not fit together the row is broken, and the next row is looked
for after a comma. It counts only if everything from there on fits together up to the end of the body: an object inside
of the broken row, which a user may have written, is never taken for a row. Each byte is looked at a few times at most.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final

from msgspec import Raw

WINDOW_BYTES: Final = 2**15
"""How far one step looks ahead: about a millisecond of work."""

_DEPTH_MAX: Final = 1000
"""Brackets inside of each other, as far as any reader of rows goes: what is deeper is broken, and not followed."""
_STEP_TOKENS: Final = 1000
_STEP_ROWS: Final = 200
_BLANKS: Final = rb"[ \t\r\n]*"
_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"(?=[ \t\r\n]*[,:\]}])'
# Up to the next bracket, or to a string that does not end in the window or is followed by what may not follow it.
_PLAIN: Final = re.compile(rb'(?:[^"{}\[\]]+|' + _STRING + rb")*", re.DOTALL)
_SCALAR: Final = re.compile(rb'(?:[^"{}\[\],]+|' + _STRING + rb")*", re.DOTALL)
_STRING_REST: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BETWEEN: Final = re.compile(rb"[ \t\r\n,]*")
_BLANK: Final = re.compile(_BLANKS)
_NEXT_ROW: Final = re.compile(rb"," + _BLANKS + rb"(?=\{" + _BLANKS + rb'")')
_COMMA, _COLON, _QUOTE = b',:"'
_OBJECT, _OBJECT_END, _ARRAY, _ARRAY_END = b"{}[]"
_OPENING: Final = {_OBJECT_END: _OBJECT, _ARRAY_END: _ARRAY}
_AFTER_STRING: Final = b",:]}"

_Steps = Generator[None, None, int]
"""Work in steps; its result is where it came to."""


class BrokenError(Exception):
    """The brackets and strings of a row do not fit together, which shows at `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


class _NoRowError(BrokenError):
    """What was taken for the rows after a broken one is something else."""


def part_of(body: bytes, start: int, end: int) -> bytes | Raw:
    """The bytes from `start` to `end`; where they are many, no copy of them."""
    return body[start:end] if end - start <= WINDOW_BYTES else Raw(memoryview(body)[start:end])


class RowScanner:
    """Scans one array, from its first row or from the one at `at`. `rows` are complete when `steps` has ended."""

    def __init__(self, body: bytes, at: int = 1) -> None:
        self.rows: list[bytes | Raw] = []
        self._body = body
        self._end = len(body)
        self._at = at
        # Up to here a broken row was searched for the next one: never twice, or time would grow with the square.
        self._searched_to = 1
        # Where the first broken row begins, and how many rows precede it, while it is not proved what follows it.
        self._unproved: tuple[int, int] | None = None

    @property
    def is_broken(self) -> bool:
        """Whether a row was met whose brackets and strings do not fit together."""
        return self._unproved is not None

    def end_of(self, at: int) -> _Steps:
        """Where the value that begins at `at` ends, whatever array it is in. Raises BrokenError."""
        if at >= self._end:
            raise BrokenError(at)
        return (yield from self._value(at))

    def end_of_string(self, at: int) -> _Steps:
        """Where the string whose quote stands at `at` ends. Raises BrokenError."""
        if at >= self._end or self._body[at] != _QUOTE:
            raise BrokenError(at)
        return (yield from self._string(at))

    def past_blanks(self, at: int) -> _Steps:
        """Where the blanks from `at` on end."""
        return (yield from self._past(_BLANK, at))

    def steps(self) -> Iterator[None]:
        """Scan; each step takes a few milliseconds at most."""
        rows = 0
        while True:
            start = yield from self._past(_BETWEEN, self._at)
            if start >= self._end:
                return self._give_up()
            if self._body[start] == _ARRAY_END and (yield from self._past(_BLANK, start + 1)) >= self._end:
                return None
            try:
                self._at = yield from self._value(start)
                self.rows.append(part_of(self._body, start, self._at))
            except BrokenError as broken:
                yield from self._recover(start, broken)
            rows += 1
            if rows % _STEP_ROWS == 0:
                yield

    def _give_up(self) -> None:
        """The array has no end: what follows a broken row is not proved to be rows."""
        if self._unproved is not None:
            start, preceding = self._unproved
            self.rows[preceding:] = [part_of(self._body, start, self._end)]

    def _past(self, pattern: re.Pattern[bytes], at: int) -> _Steps:
        """Where that ends which `pattern` takes from `at` on."""
        while True:
            stop = _end_of(pattern.match(self._body, at, at + WINDOW_BYTES))
            if stop < at + WINDOW_BYTES:
                return stop
            at = stop
            yield

    def _value(self, start: int) -> _Steps:
        """The end of the value that begins at `start`. Raises BrokenError."""
        if self._body[start] in (_OBJECT, _ARRAY):
            end = yield from self._nested(start)
        elif self._unproved is not None:
            raise _NoRowError(start)
        else:
            end = yield from self._scalar(start)
        if self._unproved is not None:
            after = yield from self._past(_BLANK, end)
            if after < self._end and self._body[after] not in (_COMMA, _ARRAY_END):
                raise _NoRowError(after)
        return end

    def _scalar(self, at: int) -> _Steps:
        """The end of what is neither an object nor an array: what it is, the row's reader will say."""
        if self._body[at] != _QUOTE:
            at = yield from self._past(_SCALAR, at + 1)
        while at < self._end and self._body[at] == _QUOTE:
            at = yield from self._string(at)
            at = yield from self._past(_SCALAR, at)
        return at

    def _nested(self, at: int) -> _Steps:
        """The end of the object or array that begins at `at`."""
        body, stack, tokens = self._body, bytearray(), 0
        while at < self._end:
            byte = body[at]
            if byte == _QUOTE:
                at = yield from self._string(at)
            else:
                if byte in _OPENING:
                    if stack.pop() != _OPENING[byte]:
                        raise BrokenError(at)
                    if not stack:
                        return at + 1
                elif stack and stack[-1] == _OBJECT and not (yield from self._follows_colon(at)):
                    raise BrokenError(at)
                else:
                    stack.append(byte)
                    if len(stack) > _DEPTH_MAX:
                        raise BrokenError(at)
                at += 1
            tokens += 1
            if tokens % _STEP_TOKENS == 0:
                yield
            stop = _end_of(_PLAIN.match(body, at, at + WINDOW_BYTES))
            at = stop if stop < at + WINDOW_BYTES else (yield from self._past(_PLAIN, stop))
        raise BrokenError(self._end)

    def _follows_colon(self, at: int) -> Generator[None, None, bool]:
        """Whether the bracket at `at`, inside of an object, stands where a value may stand."""
        back = 1
        while not (before := self._body[max(0, at - back) : at].rstrip(b" \t\r\n")):
            at, back = at - back, min(2 * back, WINDOW_BYTES)
            if back == WINDOW_BYTES:
                yield
        return before[-1] == _COLON

    def _string(self, at: int) -> _Steps:
        """The end of the string that begins at `at`. Broken unless that follows which may follow a string."""
        at += 1
        while True:
            at = _end_of(_STRING_REST.match(self._body, at, at + WINDOW_BYTES))
            if at + 1 >= self._end:
                raise BrokenError(self._end)
            if self._body[at] == _QUOTE:
                break
            yield
        after = yield from self._past(_BLANK, at + 1)
        if after >= self._end or self._body[after] not in _AFTER_STRING:
            raise BrokenError(after)
        return at + 1

    def _recover(self, start: int, broken: BrokenError) -> Iterator[None]:
        """Take the row at `start` for broken, and go on with what may be the next one."""
        if self._unproved is None:
            self._unproved = (start, len(self.rows))
        elif isinstance(broken, _NoRowError):
            start, preceding = self._unproved
            del self.rows[preceding:]
        searched_to = broken.at if isinstance(broken, _NoRowError) else self._searched_to
        next_row = yield from self._next_row(max(start + 1, searched_to))
        self._searched_to = max(self._searched_to, broken.at)
        self.rows.append(self._broken_row(start, next_row))
        self._at = next_row

    def _broken_row(self, start: int, next_row: int) -> bytes | Raw:
        last = self._body[max(start, next_row - WINDOW_BYTES) : next_row]
        return part_of(self._body, start, next_row - len(last) + len(last.rstrip(b", \t\r\n")))

    def _next_row(self, at: int) -> _Steps:
        """Where the next object begins after a comma; the end of the body when there is none."""
        while at < self._end:
            stop = min(at + WINDOW_BYTES, self._end)
            match = _NEXT_ROW.search(self._body, at, stop)
            if match is not None:
                return match.end()
            # A comma near the window's end may belong to a start that reaches beyond the window.
            comma = self._body.rfind(b",", at + 1, stop)
            at = stop if comma < 0 or stop == self._end else comma
            yield
        return self._end


def _end_of(match: re.Match[bytes] | None) -> int:
    assert match is not None  # each of these patterns matches the empty text too
    return match.end()
