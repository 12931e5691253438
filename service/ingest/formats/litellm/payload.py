"""One StandardLoggingPayload while it is read: values decoded when asked for, figures that are none noted."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw

from service.ingest.formats.native.fields import ID_CHARACTERS_MAX, INTEGER_MAX, TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import RowError, wrong_json
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.scalars import (
    MoneyError,
    moment_of_epoch,
    moment_of_loose_text,
    money_of_number,
    money_of_text,
)
from service.rfc3339 import MomentError

# Numbers with a point stay decimal text all the way.
Value: TypeAlias = "bool | int | Decimal | str | list[Value] | dict[str, Value] | None"
Object: TypeAlias = Mapping[str, Value]

_ZERO: Final = Decimal(0)
NOTHING: Final = ("", "None")
_UNREAD: Final = object()


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds: no figure, which whoever asks for it will see
        return Decimal("Infinity")


_VALUES: Final = msgspec.json.Decoder(float_hook=Decimal)
_ANY_VALUES: Final = msgspec.json.Decoder(float_hook=_exact)
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


def decode(raw: Raw) -> Value:
    """A JSON value, numbers with a point as decimals. Raises ValueError or RecursionError."""
    try:
        return _VALUES.decode(raw)
    except (ValueError, InvalidOperation):
        return _ANY_VALUES.decode(repaired(bytes(raw)))


class Payload:
    """The fields of one entry. `unreadable` says of figures that are left out why."""

    def __init__(self, fields: dict[str, Raw]) -> None:
        self.fields = fields
        self.unreadable: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self.metadata = self.object("metadata")
        self.hidden = self.object("hidden_params")
        self.parameters = self.object("model_parameters")

    @classmethod
    def of(cls, row: bytes | Raw) -> "Payload":
        """Raises RowError for what is no JSON object."""
        try:
            return cls(_FIELDS.decode(row))
        except (ValueError, RecursionError):
            pass
        try:
            return cls(_FIELDS.decode(repaired(bytes(row))))
        except (ValueError, RecursionError) as error:
            raise wrong_json(bytes(row), error) from None

    def value(self, name: str) -> Value:
        """The field's value; None for one that is absent, or cannot be read and is noted."""
        value = self._values.get(name, _UNREAD)
        if value is _UNREAD:
            value = self._values[name] = self._decoded(name)
        return value

    def _decoded(self, name: str) -> Value:
        raw = self.fields.get(name)
        if raw is None:
            return None
        try:
            return decode(raw)
        except (ValueError, RecursionError):
            self.note(name)
            return None

    def object(self, name: str) -> Object:
        """The object under `name`; an empty one for nothing, or for what is none and is noted."""
        value = self.value(name)
        if isinstance(value, dict):
            return value
        if value and value not in NOTHING:
            self.note(name, "must be an object")
        return {}

    def text(self, name: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
        """The text, or number as text, under `name`; None for nothing, and for anything else or more than
        `characters_max`, which is noted.
        """
        value = self.value(name)
        return None if value is None else self.said(name, value, characters_max)

    def said(self, name: str, value: Value, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
        """As `text`, for a value that stands elsewhere; it is noted under `name`."""
        text = text_of(value, characters_max)
        if text is None and value is not None and value not in NOTHING:
            self.note(name, f"must be a text of at most {characters_max} characters")
        return text

    def is_text(self, name: str) -> bool:
        """Whether there is text under `name`, whatever it says."""
        return name in self.fields and bytes(memoryview(self.fields[name])[:1]) == b'"'

    def flag(self, name: str) -> bool | None:
        """The boolean under `name`; None for nothing, or for what is none and is noted."""
        value = self.value(name)
        if isinstance(value, bool):
            return value
        if value is not None and value not in NOTHING:
            self.note(name, "must be true or false")
        return None

    def moment(self, name: str) -> datetime | None:
        """A moment as epoch seconds or text; None for nothing, or for what is no time and is noted."""
        value = self.value(name)
        try:
            if isinstance(value, str):
                return None if value in NOTHING else moment_of_loose_text(value)
            if isinstance(value, (bool, list, dict)):
                raise MomentError
            if value is None:
                return None
            if not value:
                self.note(name, "is zero, which is no time")
                return None
            return moment_of_epoch(str(value))
        except MomentError:
            self.note(name)
            return None

    def note(self, name: str, why: str = "cannot be read") -> None:
        """Note a figure that is left out, however often it is asked for."""
        self.unreadable.setdefault(name, f"`{name}` {why}")

    # Figures, whatever object they are in ----------------------------------------------------------------------------

    def money(self, name: str, value: Value) -> Decimal | None:
        """The amount that `value` is; None for nothing, or for what is no amount and is noted under `name`."""
        if value is None or value in NOTHING:
            return None
        if value == 0 and value is not False:
            return _ZERO
        try:
            if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                return money_of_number(str(value))
            if isinstance(value, str):
                return money_of_text(value)
        except MoneyError as error:
            self.note(name, str(error))
            return None
        self.note(name)
        return None

    def count(self, name: str, value: Value) -> int | None:
        """The count that `value` is; None for nothing, or for what is no count and is noted under `name`."""
        if value is None or value in NOTHING:
            return None
        if isinstance(value, Decimal) and value.is_finite() and abs(value) <= INTEGER_MAX and value == int(value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INTEGER_MAX:
            return value
        self.note(name)
        return None

    def largest(self, name: str, *values: Value, most: int | None) -> int | None:
        """The largest of several statements of one count that is not more than `most`; others give way to it.

        A zero is no more than "nothing is known" where another field beside it says something: if all that do exceed
        `most`, that is noted, and nothing is known.
        """
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
    if not isinstance(value, str):
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
