"""One StandardLoggingPayload while it is read: values decoded when asked for, figures that are none noted."""

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Raw

from service.ingest.formats.figures import NOTHING, FigureReader, Object, Value, decode
from service.ingest.formats.native.fields import TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import wrong_json
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.scalars import moment_of_epoch, moment_of_loose_text
from service.rfc3339 import MomentError

_UNREAD: Final = object()
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


class Payload(FigureReader):
    """The fields of one entry. `values`: those that are decoded already; they need not stand in `fields`."""

    def __init__(self, fields: dict[str, Raw], values: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.fields = fields
        self._values: dict[str, Any] = {} if values is None else values
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
        return None if value is None else self.noted_text(name, value, characters_max)

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
