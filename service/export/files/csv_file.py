"""CSV that no spreadsheet runs anything of (RFC 4180)."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from service.export.files.columns import FileColumn, Layout, Values, columns_of, flat

# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_SIGNS: Final = "=+-@\uff1d\uff0b\uff0d\uff20"
# What begins a cell for a reader of another locale, or of no quotes: separators other than ours, and ends of lines.
_BEGINS: Final = ";|\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# What readers leave out before the first character of a cell. The apostrophe is among them, so that ours can be undone.
_SKIPPED: Final = " '\"\x1f\xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
_FORMULA: Final = _SIGNS.replace("-", "\\-")
# Each run of skipped characters is scanned from one position only: no character of it begins a cell.
_UNGUARDED: Final = re.compile(rf"\A(?=[{_SKIPPED}]*[{_FORMULA}\t\r\n])|(?<=[{_BEGINS}])(?=[{_SKIPPED}]*[{_FORMULA}])")
_SUSPECT: Final = re.compile(rf"[{_SKIPPED}{_FORMULA}{_BEGINS}]")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_QUOTED: Final = '",\r\n'
_TEXTS: Final = frozenset({"String", "ID"})


class Csv:
    """UTF-8 with a header. Parts of an object have columns of their own, `amount.currency`; lists are JSON.

    Wherever some spreadsheet could take a text, or what follows a `;`, `|`, tab or end of line in it, for the beginning
    of a formula, `'` stands before it; a number stays one. In lists `;` and `|` are written as JSON can: `\\u003b`.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._columns = flat(layout)

    def header(self) -> bytes:
        """The line of column names (RFC 4180); a part of an object is `field.part`."""
        return self._lines([[_quoted(column.name)] for column in self._columns])

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Rows as lines (RFC 4180), in the order of the header; see `columns_of` for what a row is."""
        return self._lines(list(map(_cells, self._columns, columns_of(rows, self._layout)))) if rows else b""

    def _lines(self, cells: list[list[str]]) -> bytes:
        if len(cells) == 1:  # an empty line is none for most readers
            cells = [[cell or '""' for cell in cells[0]]]
        lines = "\r\n".join(map(",".join, zip(*cells, strict=True)))
        return f"{lines}\r\n".encode("utf-8", "backslashreplace")


def _cells(column: FileColumn, values: Values) -> list[str]:
    """One column's cells. What is looked for is looked for in all of them at once: nearly every column has none."""
    if not any(values) and values.count(None) == len(values):
        return [""] * len(values)
    if column.members:
        return _as_needed(["" if value is None else _list(value) for value in values])
    if column.type == "Boolean":
        return ["" if value is None else "true" if value else "false" for value in values]
    if column.type in _TEXTS:
        return _as_needed(_guarded([value or "" for value in values]))
    return ["" if value is None else str(value) for value in values]


def _list(value: object) -> str:
    return orjson.dumps(value).decode().replace(";", "\\u003b").replace("|", "\\u007c")


def _guarded(texts: list[str]) -> list[str]:
    """The texts with `'` where it is needed: where one begins suspiciously, or holds what could begin a cell."""
    if not _SUSPECT.search("".join({text[:1] for text in texts})):
        joined = "".join(texts)
        if not any(begin in joined for begin in _BEGINS):
            return texts
    return [text if _NUMBER.fullmatch(text) else _UNGUARDED.sub("'", text) for text in texts]


def _as_needed(texts: list[str]) -> list[str]:
    """The texts in quotes where RFC 4180 wants them, section 2.6."""
    joined = "".join(texts)
    return list(map(_quoted, texts)) if any(sign in joined for sign in _QUOTED) else texts


def _quoted(text: str) -> str:
    if not any(sign in text for sign in _QUOTED):
        return text
    return '"' + text.replace('"', '""') + '"'
