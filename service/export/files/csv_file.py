"""CSV that no spreadsheet runs anything of (RFC 4180)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from service.export.files.columns import FileColumn, Layout, Values, flat

# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_SIGNS: Final = "=+-@\uff1d\uff0b\uff0d\uff20"
# What begins a cell for a reader of another locale, or of no quotes: separators other than ours, and ends of lines.
_BEGINS: Final = ";|\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# What readers leave out before the first character of a cell. The apostrophe is among them, so that ours can be undone.
_SKIPPED: Final = " '\"\x1f\xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
_FORMULA: Final = _SIGNS.replace("-", "\\-")
# Each run of skipped characters is scanned from one position only: no character of it begins a cell.
_UNGUARDED: Final = re.compile(rf"\A(?=[{_SKIPPED}]*[{_FORMULA}\t\r\n])|(?<=[{_BEGINS}])(?=[{_SKIPPED}]*[{_FORMULA}])")
# Between texts that are looked at together; one that holds it is looked at more closely than it needs.
_SEPARATOR: Final = "\0"
_SUSPECT: Final = re.compile(rf"{_SEPARATOR}[{_SKIPPED}{_FORMULA}{_BEGINS}]")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_QUOTED: Final = re.compile(r'[",\r\n]')
_TEXTS: Final = frozenset({"String", "ID"})
_BOOLEANS: Final[Mapping[bool | None, str]] = {None: "", True: "true", False: "false"}


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

    def rows(self, columns: Sequence[Values]) -> bytes:
        """Rows as lines (RFC 4180), of the values of each column in the order of the header."""
        return self._lines(list(map(_cells, self._columns, columns))) if any(columns) else b""

    def _lines(self, cells: list[Sequence[str]]) -> bytes:
        if len(cells) == 1:  # an empty line is none for most readers
            cells = [[cell or '""' for cell in cells[0]]]
        lines = "\r\n".join(map(",".join, zip(*cells, strict=True)))
        return f"{lines}\r\n".encode("utf-8", "backslashreplace")


def _cells(column: FileColumn, values: Values) -> Sequence[str]:
    """One column's cells. What is looked for is looked for in all of them at once: nearly every column has none."""
    if values.count(None) == len(values):
        return [""] * len(values)
    if column.members:
        return _as_needed(["" if value is None else _list(value) for value in values])
    match column.type:
        case "Boolean":
            return [*map(_BOOLEANS.__getitem__, values)]
        case "Int":
            # orjson writes all of them at once.
            return orjson.dumps(values)[1:-1].decode().replace("null", "").split(",")
        case "Float":
            return ["" if value is None else str(value) for value in values]
        case _:
            texts = [value or "" for value in values] if None in values else values
            return _as_needed(_guarded(texts)) if column.type in _TEXTS else texts


def _list(value: object) -> str:
    return orjson.dumps(value).decode().replace(";", "\\u003b").replace("|", "\\u007c")


def _guarded(texts: Sequence[str]) -> Sequence[str]:
    """The texts with `'` where it is needed: where one begins suspiciously, or holds what could begin a cell."""
    joined = _SEPARATOR + _SEPARATOR.join({*texts})
    if not _SUSPECT.search(joined) and not any(begin in joined for begin in _BEGINS):
        return texts
    return [text if _NUMBER.fullmatch(text) else _UNGUARDED.sub("'", text) for text in texts]


def _as_needed(texts: Sequence[str]) -> Sequence[str]:
    """The texts in quotes where RFC 4180 wants them, section 2.6."""
    return [*map(_quoted, texts)] if _QUOTED.search("".join({*texts})) else texts


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
