"""From a cell to the value of a field: each entry of a column map becomes a function of a row's cells."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from service.ingest.formats.mapped.column_map import DERIVED, ColumnMap, MapEntry
from service.ingest.formats.scalars import MoneyError, moment_of_epoch, money_of_number, money_of_text
from service.log_redaction import guarded
from service.rfc3339 import MomentError

Cells: TypeAlias = Mapping[str, Any]
"""A row: values by the names of its columns; empty cells are not in it."""
Convert: TypeAlias = Callable[[Cells], Any]
"""A value for the native format; None for nothing. CellError."""

_EPOCHS: Final[Mapping[str, Decimal]] = {
    "epoch": Decimal(1),
    "epoch_ms": Decimal(1000),
    "epoch_us": Decimal(10**6),
    "epoch_ns": Decimal(10**9),
}
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-9]{2}.*)?", re.ASCII)
_FRACTION: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_PLAIN_AMOUNT: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_COUNT_DIGITS: Final = 9
_SHOWN: Final = re.compile(r"[0-9A-Za-z.,:;+/%$_ -]{1,32}", re.ASCII)
_WIDE: Final = Context(prec=200, rounding=ROUND_HALF_EVEN)
_NUMBER_CHARACTERS_MAX: Final = 60
_TEXT_CHARACTERS_MAX: Final = 4096
_PLACES: Final = 12
_GROUP_DIGITS: Final = 3
_MICROSECONDS_CHARACTERS: Final = 26
"""A time with more than microseconds is longer."""
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class CellError(ValueError):
    """A cell is not as its entry says; the message names the column, and what is in it where that can be no content."""

    def __init__(self, column: str, value: object, why: str) -> None:
        shown = str(value).strip()
        # A number, a time or a word; a sentence may be content.
        safe = _SHOWN.fullmatch(shown) and (shown.count(" ") < 2 or any(map(str.isdecimal, shown)))
        said = f"`{guarded(shown)}` {why}" if safe else f"what is in it {why}"
        super().__init__(f"column `{column[:80].replace('`', ' ')}`: {said}")


def conversion(entry: MapEntry, of: ColumnMap) -> Convert:
    """What makes the value of an entry."""
    if entry.of:
        return _derived(entry)
    if entry.value is not None:
        constant = entry.value
        return lambda _: constant
    if entry.sum:
        return _sum(entry, of)
    make = _MAKERS[entry.kind](entry, of)
    at, column, default = _at(entry.column or ""), entry.column or "", entry.default

    def convert(cells: Cells) -> Any:  # noqa: ANN401 - any value of the native format
        """The value of the entry's column."""
        cell = at(cells)
        return default if cell is None or cell == "" else make(column, cell)

    return convert


def _at(column: str) -> Convert:
    """What finds a column's value: by its name, or, in nested JSON, by a path of names with dots."""
    path = column.split(".")

    def find(cells: Cells) -> Any:  # noqa: ANN401 - any JSON value
        """The value; None when there is none."""
        found: Any = cells.get(column)
        if found is None and len(path) > 1:
            found = cells
            for name in path:
                if not isinstance(found, dict):
                    return None
                found = found.get(name)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - any JSON
        return found  # pyright: ignore[reportUnknownVariableType] - any JSON

    return find if len(path) > 1 else lambda cells: cells.get(column)


def _derived(entry: MapEntry) -> Convert:
    finders = [(name, _at(name)) for name in entry.of if name != DERIVED]

    def derive(cells: Cells) -> str:
        """An id of what the columns say: the same row has the same one again."""
        said = [(name, find(cells)) for name, find in finders] if finders else cells
        return f"{entry.prefix}row-{hashlib.sha256(_ENCODER.encode(said)).hexdigest()}"

    return derive


_Make: TypeAlias = Callable[[str, Any], Any]


def _text(entry: MapEntry, _: ColumnMap) -> _Make:
    def make(column: str, cell: object) -> str | None:
        """The cell as text, with its words replaced."""
        if isinstance(cell, bool) or not isinstance(cell, (str, int, Decimal)):
            raise CellError(column, "", "must be a text")
        text = str(cell)
        if entry.name != "message":
            text = text.strip()
            if len(text) > _TEXT_CHARACTERS_MAX:
                raise CellError(column, "", "is too long for a name")
        text = entry.words.get(text, text)
        return f"{entry.prefix}{text}" if text else None

    return make


def _number_of(entry: MapEntry, of: ColumnMap) -> Callable[[str, Any], Decimal]:
    strip, decimal, thousands, factor = entry.strip, of.decimal, of.thousands, entry.factor

    def number(column: str, cell: object) -> Decimal:
        """The number in the cell, times the factor, exactly."""
        if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool):
            text = str(cell)
        elif isinstance(cell, str) and len(cell) <= _NUMBER_CHARACTERS_MAX:
            text = cell.strip()
            for mark in (strip, strip.strip()):
                text = text.removeprefix(mark).removesuffix(mark).strip() if mark else text
            if thousands and thousands in text:
                text = _ungrouped(text, thousands, decimal)
            if decimal != ".":
                text = "" if "." in text else text.replace(decimal, ".")
        else:
            raise CellError(column, "", "is no number")
        if not _PLAIN_NUMBER.fullmatch(text):
            hint = "" if not isinstance(cell, str) else _number_hint(cell, of)
            raise CellError(column, cell, f"is no number{hint}")
        return _WIDE.multiply(Decimal(text), factor)

    return number


def _ungrouped(text: str, mark: str, decimal: str) -> str:
    """Without the marks between thousands, where these stand before each three digits; as it is, where they do not."""
    whole, point, fraction = text.partition(decimal)
    first, *others = whole.lstrip("+-").split(mark)
    fits = 1 <= len(first) <= _GROUP_DIGITS and all(len(group) == _GROUP_DIGITS for group in others)
    return f"{whole.replace(mark, '')}{point}{fraction}" if fits and mark not in fraction else text


def _number_hint(cell: str, of: ColumnMap) -> str:
    if "," in cell and of.decimal == "." and not of.thousands:
        return ': say `decimal = ","` or `thousands = ","` in `[file]`'
    if cell.strip()[:1] in "$€£¥":
        return ": say `strip` with the sign of the currency"
    return ""


def _money(entry: MapEntry, of: ColumnMap) -> _Make:
    number = _number_of(entry, of)

    plain = entry.factor == 1 and of.decimal == "."

    def make(column: str, cell: object) -> str:
        """An amount: exactly to twelve places; with more it is a binary float that was printed, and is rounded."""
        if plain and isinstance(cell, str) and _PLAIN_AMOUNT.fullmatch(cell):
            return cell
        value = number(column, cell)
        try:
            exact = value.normalize(_WIDE).as_tuple().exponent
            text = f"{value:f}"
            found = money_of_text(text) if isinstance(exact, int) and -exact <= _PLACES else money_of_number(text)
        except MoneyError as error:
            raise CellError(column, cell, str(error)) from None
        return f"{found:f}"

    return make


def _count(entry: MapEntry, of: ColumnMap) -> _Make:
    number = _number_of(entry, of)

    plain = entry.factor == 1

    def make(column: str, cell: object) -> int:
        """A count."""
        if plain and isinstance(cell, str) and cell.isdecimal() and cell.isascii() and len(cell) <= _COUNT_DIGITS:
            return int(cell)
        value = number(column, cell)
        if value != value.to_integral_value() or not 0 <= value < 2**31:
            raise CellError(column, cell, "is no whole number from 0 to 2147483647")
        return int(value)

    return make


def _duration(entry: MapEntry, of: ColumnMap) -> _Make:
    number = _number_of(entry, of)

    def make(column: str, cell: object) -> int:
        """Milliseconds, rounded half even."""
        value = round(number(column, cell))
        if not 0 <= value < 2**31:
            raise CellError(column, cell, "is no duration in milliseconds: `factor` makes them of other units")
        return value

    return make


def _sum(entry: MapEntry, of: ColumnMap) -> Convert:
    make = _MAKERS[entry.kind](entry, of)
    finders = [(name, _at(name)) for name in entry.sum]

    def add(cells: Cells) -> Any:  # noqa: ANN401 - a count, or an amount as text
        """The sum of what the columns say; nothing where all are empty."""
        found = [make(name, cell) for name, find in finders if (cell := find(cells)) not in (None, "")]
        if not found:
            return entry.default
        return sum(found) if isinstance(found[0], int) else f"{sum(map(Decimal, found)):f}"

    return add


def _flag(entry: MapEntry, _: ColumnMap) -> _Make:
    words = {word: side == "true" for word, side in entry.words.items()} or _FLAGS

    def make(column: str, cell: object) -> bool:
        """A boolean, by the entry's words or the usual ones."""
        if isinstance(cell, bool):
            return cell
        text = str(cell).strip()
        found = words.get(text, words.get(text.lower()))
        if found is None:
            raise CellError(column, cell, "is none of the words for true and false")
        return found

    return make


def _status(entry: MapEntry, _: ColumnMap) -> _Make:
    def make(column: str, cell: object) -> str:
        """`succeeded` or `failed`."""
        text = str(cell).lower() if isinstance(cell, bool) else str(cell).strip()
        found = entry.words.get(text) or entry.otherwise
        if found is None:
            raise CellError(column, cell, "stands neither in `succeeded` nor in `failed`")
        return found

    return make


def _time(entry: MapEntry, of: ColumnMap) -> _Make:
    zone, form = ZoneInfo(entry.time_zone or of.time_zone), entry.format
    if form in _EPOCHS:
        return lambda column, cell: _of_epoch(column, cell, _EPOCHS[form])

    def make(column: str, cell: object) -> datetime:
        """A time as text; one without an offset is in the map's time zone."""
        if not isinstance(cell, str) or len(cell) > _NUMBER_CHARACTERS_MAX:
            raise CellError(column, cell, 'is no time as text: for seconds since 1970 say `format = "epoch"`')
        text = cell.strip()
        try:
            if form == "iso":
                whole = _FRACTION.sub(r"\1", text) if len(text) > _MICROSECONDS_CHARACTERS else text
                moment = datetime.fromisoformat(whole) if _ISO.fullmatch(text) else None
            else:
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the map's, or in the text
            if moment is None:
                raise ValueError
            moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
            return _floored(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            raise CellError(column, cell, f"is no time of the form `{form}`") from None

    return make


def _of_epoch(column: str, cell: object, scale: Decimal) -> datetime:
    try:
        if isinstance(cell, bool) or len(str(cell)) > _NUMBER_CHARACTERS_MAX:
            raise MomentError
        return moment_of_epoch(f"{Decimal(str(cell).strip()) / scale:f}")
    except (MomentError, ArithmeticError):
        raise CellError(column, cell, "is no time since 1970 in these units") from None


_MAKERS: Final[Mapping[str, Callable[[MapEntry, ColumnMap], _Make]]] = {
    "text": _text,
    "time": _time,
    "count": _count,
    "money": _money,
    "duration": _duration,
    "flag": _flag,
    "status": _status,
}


def _floored(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond % 1000)


def moment_text(moment: datetime) -> str:
    """As the native format writes a moment, which is in UTC."""
    return moment.isoformat(timespec="milliseconds")
