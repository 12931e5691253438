"""Rows of CSV (RFC 4180) as JSON objects by the names of the header, in any encoding and with any delimiter.

A line with another number of cells than the header comes out as an array of their number, and one that cannot be read
as UNREADABLE, each for its own rejection; the lines behind it are read: a quote without an end costs its own line.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from service.imports.sources.pages import SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

_RECORD_CHARS_MAX: Final = ROW_BYTES_MAX // 4
_COLUMNS_MAX: Final = 1024
_ENDLESS_MAX: Final = 100
"""After so many quotes without an end the file is none: each costs the reading of a whole record again."""
_DELIMITERS: Final = (",", ";", "\t", "|")
UNREADABLE: Final = b'"unreadable"'
"""What stands for a line of which a quote has no end, or bytes are none of the encoding. Nothing of it is handed on."""

_NO_VALUE: Final = ("", r"\N")
"""How PostgreSQL and MySQL write null."""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a file of CSV is written. `delimiter` None: the one that the header has most of; `names`: those of the
    columns, for a file without a header.
    """

    encoding: str = "utf-8"
    delimiter: str | None = None
    names: tuple[str, ...] = ()


def csv_rows(lines: Iterator[bytes], form: CsvForm) -> Iterator[bytes]:
    """A JSON object for each record, without its empty cells. Raises SourceError for a header that is none."""
    csv.field_size_limit(_RECORD_CHARS_MAX)
    fed = _Lines(lines)
    names = list(form.names)
    delimiter = form.delimiter
    if not names or delimiter is None:
        first = fed.peek()
        delimiter = delimiter or max(_DELIMITERS, key=_outside_quotes(first).count)
    records = _records(fed, delimiter)
    if not names:
        names = _header(next(records, None))
    for cells in records:
        if cells is None:
            yield UNREADABLE
            continue
        if len(cells) < len(names) or any(cells[len(names) :]):
            yield orjson.dumps([len(cells)])
            continue
        named = {name: cell for name, cell in zip(names, cells, strict=False) if cell not in _NO_VALUE}
        try:
            yield orjson.dumps(named)
        except TypeError:  # half of a surrogate pair: bytes that are none of the encoding
            yield UNREADABLE


def column_names(lines: Iterator[bytes], form: CsvForm) -> tuple[str, ...]:
    """The names of the columns, as `csv_rows` has them."""
    if form.names:
        return form.names
    fed = _Lines(lines)
    delimiter = form.delimiter or max(_DELIMITERS, key=_outside_quotes(fed.peek()).count)
    return tuple(_header(next(_records(fed, delimiter), None)))


def _header(cells: list[str] | None) -> list[str]:
    names = [name.strip() for name in cells or []]
    if not any(names):
        raise SourceError("the file has no header: its first line must name the columns")
    if len(names) > _COLUMNS_MAX:
        raise SourceError(f"the header has more than {_COLUMNS_MAX} columns")
    named = [name for name in names if name]
    twice = next((name for name in named if named.count(name) > 1), None) if len(set(named)) < len(named) else None
    if twice is not None:
        raise SourceError(f"the header names `{twice[:80].replace('`', ' ')}` twice: say which is which")
    return names


def _records(fed: "_Lines", delimiter: str) -> Iterator[list[str] | None]:
    """The cells of each record; None for one that cannot be read."""
    endless = 0
    while True:
        records = csv.reader(fed, delimiter=delimiter, strict=True)
        try:
            for cells in records:
                fed.record_ended()
                if cells:
                    yield cells
            return
        except csv.Error:
            endless += 1
            if endless > _ENDLESS_MAX:
                raise SourceError(
                    f"quotes have no end in {endless} lines: the file is no CSV; what is before was read"
                ) from None
            fed.again_behind_first()
            yield None


class _Lines(Iterator[str]):
    """The lines as text. Those of the record under way are kept, to be read again where it is none."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._ahead: list[str] = []
        self._taken: list[str] = []
        self._chars = 0

    def __next__(self) -> str:
        line = self._ahead.pop() if self._ahead else next(self._lines).decode("utf-8", "surrogateescape")
        self._taken.append(line)
        self._chars += len(line)
        if self._chars > _RECORD_CHARS_MAX and len(self._taken) > 1:
            raise csv.Error("a record is too long")
        return line

    def peek(self) -> str:
        """The first line, which comes once more; nothing where there is none."""
        line = next(self, "")
        self._ahead, self._taken, self._chars = [line] if line else [], [], 0
        return line

    def record_ended(self) -> None:
        """What was taken is a record."""
        self._taken.clear()
        self._chars = 0

    def again_behind_first(self) -> None:
        """Let all lines of the record but its first come again."""
        self._ahead += reversed(self._taken[1:])
        self.record_ended()


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])
