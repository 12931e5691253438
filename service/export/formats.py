"""How a row becomes bytes, by format."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import orjson

from service.api.export_kinds import LISTS, Fields

Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"


def ndjson(row: Row) -> bytes:
    """One JSON object a line (`application/x-ndjson`)."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


ENCODERS: Final[Mapping[Format, Callable[[Row], bytes]]] = {Format.NDJSON: ndjson}

# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Csv:
    """RFC 4180, UTF-8, with a header. Parts of an object have columns of their own, `amount.currency`; lists are JSON.

    A text that a spreadsheet would run as a formula begins with `'`; a number stays one.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def header(self) -> bytes:
        return _line(
            name
            for field, parts in self._fields
            for name in ([f"{field}.{part}" for part in parts] if parts and field not in LISTS else [field])
        )

    def row(self, row: Row) -> bytes:
        return _line(map(_cell, self._values(row)))

    def _values(self, row: Row) -> Iterator[Any]:
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


def _cell(value: Any) -> str:  # noqa: ANN401 - a value of GraphQL's
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | dict():
            return orjson.dumps(value).decode()
        case str():
            return f"'{value}" if value.startswith(_FORMULA) and not _NUMBER.fullmatch(value) else value
    return str(value)
