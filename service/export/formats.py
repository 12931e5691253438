"""How a row becomes bytes, by format."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import orjson

from service.api.exports.kinds import LISTS, Fields

Row = Mapping[str, Any]


class ExportFormat(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"


def ndjson(row: Row) -> bytes:
    """One JSON object a line (`application/x-ndjson`)."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


ENCODERS: Final[Mapping[ExportFormat, Callable[[Row], bytes]]] = {ExportFormat.NDJSON: ndjson}

# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_FORMULA: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
# What begins a cell for a reader of another locale, or of no quotes: separators other than ours, and ends of lines.
_BEGINS: Final = ";|\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
# What readers leave out before the first character of a cell. The apostrophe is among them, so that ours can be undone.
_SKIPPED: Final = " '\"\x1f\xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
# Each run of skipped characters is scanned from one position only: no character of it begins a cell.
_UNGUARDED: Final = re.compile(rf"\A(?=[{_SKIPPED}]*[{_FORMULA}\t\r\n])|(?<=[{_BEGINS}])(?=[{_SKIPPED}]*[{_FORMULA}])")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Csv:
    """RFC 4180, UTF-8, with a header. Parts of an object have columns of their own, `amount.currency`; lists are JSON.

    Wherever some spreadsheet could take a text, or what follows a `;`, `|`, tab or end of line in it, for the beginning
    of a formula, `'` stands before it; a number stays one. In lists `;` and `|` are written as JSON can: `\\u003b`.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def header(self) -> bytes:
        """The line of column names (RFC 4180); a part of an object is `field.part`."""
        return _line(
            name
            for field, parts in self._fields
            for name in ([f"{field}.{part}" for part in parts] if parts and field not in LISTS else [field])
        )

    def row(self, row: Row) -> bytes:
        """One row as a line (RFC 4180), in the order of the header."""
        return _line(map(_cell, self._values(row)))

    def _values(self, row: Row) -> Iterator[object]:
        for field, parts in self._fields:
            value = row[field]
            if parts and field not in LISTS:
                yield from (None if value is None else value[part] for part in parts)
            else:
                yield value


def _line(cells: Iterator[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(list(cells))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | dict():
            return orjson.dumps(value).decode().replace(";", "\\u003b").replace("|", "\\u007c")
        case str():
            return value if _NUMBER.fullmatch(value) else _UNGUARDED.sub("'", value)
    return str(value)
