"""Figures and texts of a report, in whatever form: what cannot be read as one is left out, and noted.

Numbers with a point stay decimal text all the way.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw

from service.ingest.formats.native.fields import ID_CHARACTERS_MAX, INTEGER_MAX, TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import RowError
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.scalars import MoneyError, money_of_decimal, money_of_number, money_of_text

Value: TypeAlias = "bool | int | Decimal | str | list[Value] | dict[str, Value] | None"
Object: TypeAlias = Mapping[str, Value]

_ZERO: Final = Decimal(0)
NOTHING: Final = ("", "None")


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds: no figure, which whoever asks for it will see
        return Decimal("Infinity")


_VALUES: Final = msgspec.json.Decoder(float_hook=Decimal)
_ANY_VALUES: Final = msgspec.json.Decoder(float_hook=_exact)


def decode(raw: bytes | Raw) -> Value:
    """A JSON value, numbers with a point as decimals. Raises ValueError or RecursionError."""
    try:
        return _VALUES.decode(raw)
    except (ValueError, InvalidOperation):
        return _ANY_VALUES.decode(repaired(bytes(raw)))


class FigureReader:
    """What is read of one call. `unreadable` says of what is left out why, by the name of its field."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}

    def note(self, name: str, why: str = "cannot be read") -> None:
        """Note a figure that is left out, however often it is asked for."""
        self.unreadable.setdefault(name, f"`{name}` {why}")

    def noted_text(self, name: str, value: Value, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
        """As `text`, for a value that stands elsewhere; it is noted under `name`."""
        if value is None or (type(value) is str and len(value) <= characters_max and value not in NOTHING):
            return value
        text = text_of(value, characters_max)
        if text is None and value not in NOTHING:
            self.note(name, f"must be a text of at most {characters_max} characters")
        return text

    def money(self, name: str, value: Value) -> Decimal | None:
        """The amount that `value` is; None for nothing, or for what is no amount and is noted under `name`."""
        if value is None:
            return None
        try:
            if type(value) is Decimal:  # first: a decimal is long compared with a text
                return money_of_decimal(value)
            if type(value) is int:
                return money_of_number(str(value)) if value else _ZERO
            if isinstance(value, str):
                return None if value in NOTHING else money_of_text(value)
        except MoneyError as error:
            self.note(name, str(error))
            return None
        self.note(name)
        return None

    def count(self, name: str, value: Value) -> int | None:
        """The count that `value` is; None for nothing, or for what is no count and is noted under `name`."""
        if type(value) is int and 0 <= value <= INTEGER_MAX:
            return value
        if value is None or value in NOTHING:
            return None
        if isinstance(value, Decimal) and value.is_finite() and abs(value) <= INTEGER_MAX and value == int(value):
            return self.count(name, int(value))
        self.note(name)
        return None

    def largest(self, name: str, *values: Value, most: int | None) -> int | None:
        """The largest of several statements of one count that is not more than `most`; others give way to it.

        A zero is no more than "nothing is known" where another field beside it says something: if all that do exceed
        `most`, that is noted, and nothing is known.
        """
        if not values:
            return None
        if len(values) == 1 and type(only := values[0]) is int and 0 <= only <= (INTEGER_MAX if most is None else most):
            return only
        counts = [count for value in values if (count := self.count(name, value)) is not None]
        fitting = max((count for count in counts if most is None or count <= most), default=None)
        if not fitting and any(counts):
            self.note(name, "is more than the total that it is a part of")
            return None
        return fitting


def text_of(value: Value, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
    """Text, or a number as text; None for null, for `None`, for other types, and for what is too long to be a name."""
    if value is None:
        return None
    if type(value) is not str:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            return None
        value = str(value)
    return value if len(value) <= characters_max and value not in NOTHING else None


def any_length_text(value: Value) -> str | None:
    """Text of any length; None for anything else, and for `None`."""
    return value if isinstance(value, str) and value not in NOTHING else None


def storable(name: str, value: str) -> str:
    """What the call is found by must be stored as it came. RowError where it cannot be."""
    if len(value) > ID_CHARACTERS_MAX or "\x00" in value or "\ufffd" in value:
        raise RowError(f"`{name}` is too long, holds a NUL character, or lost characters on the way (U+FFFD)")
    return value


def inside(value: Any, *path: str) -> Value:  # noqa: ANN401 - any JSON value
    """What stands at the end of a path of names; None when there is no such path."""
    found: Value = value
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found
