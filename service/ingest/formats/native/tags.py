"""Tags in the native format: one that cannot be read costs itself, and no other."""

from typing import Final

import msgspec
from msgspec import Raw

from service.ingest.formats.left_out import FieldError
from service.ingest.formats.native.fields import TAGS_MAX, Tags

_TAGS: Final = msgspec.json.Decoder[Tags](Tags)
_ENTRIES: Final = msgspec.json.Decoder(dict[str, Raw])


def leave_odd_tags_out(fields: dict[str, Raw]) -> list[FieldError]:
    """Take tags that cannot be read, and those beyond the limit, out of `fields`; why, in words.

    A value that is no object stays, and is left out later with all that is in it.
    """
    raw = fields.get("tags")
    if raw is None or _are_tags(raw):
        return []
    try:
        entries = _ENTRIES.decode(raw)
    except (ValueError, RecursionError):
        return []
    kept = {key: value for key, value in entries.items() if _are_tags(msgspec.json.encode({key: value}))}
    faults: list[FieldError] = []
    if len(kept) < len(entries):
        message = "one of `tags` must be a short string, a number or a boolean, under a key of 1 to 200 characters"
        faults.append(FieldError(message, "tags"))
    if len(kept) > TAGS_MAX:
        kept = dict(list(kept.items())[:TAGS_MAX])
        faults.append(FieldError(f"`tags` has more than {TAGS_MAX}: the others", "tags"))
    fields["tags"] = Raw(msgspec.json.encode(kept))
    return faults


def _are_tags(raw: bytes | Raw) -> bool:
    try:
        _TAGS.decode(raw)
    except (ValueError, RecursionError):
        return False
    return True
