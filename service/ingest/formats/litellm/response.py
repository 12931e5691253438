"""The few facts of an answer that are no content: its id, its time, its model and what it used beside tokens.

Everything else of an answer is skipped without being read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw

from service.ingest.formats.figures import Value, decode, inside, text_of
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX
from service.ingest.formats.scalars import moment_of_epoch

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_LIST: Final = msgspec.json.Decoder(list[Raw])


@dataclass(frozen=True, slots=True)
class Response:
    """Fields of an answer, still JSON text."""

    fields: Mapping[str, Raw]

    @classmethod
    def of(cls, raw: Raw | None) -> "Response":
        """The answer in the field `response`; one without fields when it is redacted, absent or of another form."""
        if raw is None:
            return _NONE
        try:
            return cls(_FIELDS.decode(raw))
        except (ValueError, RecursionError):
            return cls({})

    def value(self, name: str, *path: str) -> Value:
        """The value at a path of names; None when there is none, or it cannot be read."""
        raw = self.fields.get(name)
        try:
            return None if raw is None else inside(decode(raw), *path)
        except (ValueError, RecursionError):
            return None

    @property
    def model(self) -> str | None:
        """The model that the provider says it answered with, or None."""
        return text_of(self.value("model"), ID_CHARACTERS_MAX)

    @property
    def images(self) -> int | None:
        """How many images are in it."""
        raw = self.fields.get("data")
        try:
            return None if raw is None else len(_LIST.decode(raw))
        except (ValueError, RecursionError):
            return None

    @property
    def created_at(self) -> datetime | None:
        """When the provider made it; None when that is not said."""
        value = self.value("created_at")
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            return None
        try:
            return moment_of_epoch(str(value))
        except ValueError:
            return None


_NONE: Final = Response({})
