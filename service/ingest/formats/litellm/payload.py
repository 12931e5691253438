"""One StandardLoggingPayload while it is read: values decoded when asked for, figures that are none noted."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw

from service.ingest.formats.figures import NOTHING, FigureReader, Object, Value, decode
from service.ingest.formats.litellm.fields import EACH_READ, KNOWN, READ
from service.ingest.formats.native.fields import TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import wrong_json
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.scalars import moment_of_decimal, moment_of_epoch, moment_of_loose_text
from service.rfc3339 import MomentError

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
NULL: Final = Raw(b"null")
"""A field that says nothing."""


def _schema() -> "msgspec.json.Decoder[msgspec.Struct]":
    """What decodes an entry that has no other fields, in one step: what every call is asked for, and the rest raw."""
    fields = [(name, Any if name in EACH_READ else Raw, None if name in EACH_READ else NULL) for name in KNOWN]
    struct = msgspec.defstruct("PayloadFields", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(struct, float_hook=Decimal)


_DECODER: Final = _schema()
_LEFT: Final = tuple(sorted(KNOWN - READ))


class Payload(FigureReader):
    """The fields of one entry: `values` by name, a `Raw` until it is asked for; `left` are those that are not read, and
    not null.
    """

    def __init__(self, values: dict[str, Any], left: Mapping[str, Raw]) -> None:
        super().__init__()
        self._values = values
        self.left = left
        self.metadata = self.object("metadata")
        self.hidden = self.object("hidden_params")
        self.raw_parameters = values.get("model_parameters")
        self.parameters = self.object("model_parameters")

    @classmethod
    def of(cls, row: bytes | Raw) -> "Payload":
        """Raises RowError for what is no JSON object."""
        try:
            values = msgspec.structs.asdict(_DECODER.decode(row))
            return cls(values, {name: raw for name in _LEFT if (raw := values[name]) is not NULL and raw != NULL})
        except (ValueError, RecursionError, ArithmeticError):
            pass
        try:
            fields = _FIELDS.decode(row)
        except (ValueError, RecursionError):
            try:
                fields = _FIELDS.decode(repaired(bytes(row)))
            except (ValueError, RecursionError) as error:
                raise wrong_json(bytes(row), error) from None
        return cls(dict(fields), {name: raw for name, raw in fields.items() if name not in READ and raw != NULL})

    def value(self, name: str) -> Value:
        """The field's value; None for one that is absent, or cannot be read and is noted."""
        value = self._values.get(name)
        if type(value) is Raw:
            value = self._values[name] = self._decoded(name, value)
        return value

    def _decoded(self, name: str, raw: Raw) -> Value:
        if raw is NULL:
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
        value = self._values.get(name)
        if value is None or (type(value) is str and len(value) <= characters_max and value not in NOTHING):
            return value
        return self.noted_text(name, self.value(name), characters_max)

    def is_text(self, name: str) -> bool:
        """Whether there is text under `name`, whatever it says."""
        value = self._values.get(name)
        return isinstance(value, str) or (type(value) is Raw and bytes(memoryview(value)[:1]) == b'"')

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
        if value is None or isinstance(value, datetime):
            return value
        try:
            if isinstance(value, str):
                return None if value in NOTHING else moment_of_loose_text(value)
            if isinstance(value, (bool, list, dict)):
                raise MomentError
            if not value:
                self.note(name, "is zero, which is no time")
                return None
            return moment_of_decimal(value) if isinstance(value, Decimal) else moment_of_epoch(str(value))
        except MomentError:
            self.note(name)
            return None
