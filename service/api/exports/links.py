"""Links to a file that need no header: whoever has one acts, for an hour and for this file alone, as the key that made
it.

A link is sealed as cursors are, and bound to the file and its digest: nobody else can make one, or turn one into that
of another file. The key is asked for anew with every use, so a link ends with the key, and with the file.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from service.query.records.ordering import CursorError, Cursors, from_microseconds, microseconds

LINK_LIFETIME: Final = timedelta(hours=1)
PARAMETER: Final = "link"


def seal_link(cursors: Cursors, id_: UUID, sha256: str, key_id: str) -> str:
    """The text of a link to the file with this digest, for LINK_LIFETIME from now."""
    until = datetime.now(UTC) + LINK_LIFETIME
    return cursors.seal((microseconds(until), key_id), _binding(id_, sha256))


def open_link(cursors: Cursors, id_: UUID, sha256: str, text: str) -> str | None:
    """The id of the key that the link acts for; None when it is none of this file, or its time is over."""
    try:
        until, key_id = cursors.open(text, _binding(id_, sha256))
    except (CursorError, ValueError):
        return None
    if not isinstance(until, int) or not isinstance(key_id, str) or from_microseconds(until) <= datetime.now(UTC):
        return None
    return key_id


def _binding(id_: UUID, sha256: str) -> bytes:
    return Cursors.binding("link to an export", id_.hex, sha256)
