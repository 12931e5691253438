"""Values that instrumentations write as one JSON text, since attributes have no objects."""

from collections.abc import Sequence
from typing import Final

from service.ingest.formats.figures import Object, Value, decode, text_of

_OBJECT_CHARACTERS_MAX: Final = 2**16


def object_of_text(value: Value) -> Object:
    """The object that a text spells, or that it is; an empty one for anything else."""
    found = value_of_text(value)
    return found if isinstance(found, dict) else {}


def value_of_text(value: Value) -> Value:
    """What a text spells in JSON; the value itself where it spells nothing, or is too long for what is read here."""
    if not isinstance(value, str) or len(value) > _OBJECT_CHARACTERS_MAX or value[:1] not in ("{", "[", '"'):
        return value
    try:
        return decode(value.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return value


def first_text(attributes: Object, candidates: Sequence[str]) -> str | None:
    """The first of these attributes that says anything."""
    for name in candidates:
        text = text_of(attributes.get(name))
        if text is not None:
            return text
    return None
