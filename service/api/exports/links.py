"""Links to a file that need no header: whoever has one acts, for an hour and for this file alone, as the key that made
it.

A link is sealed as cursors are, and bound to the file and its digest: nobody else can make one, or turn one into that
of another file. The key is asked for anew with every use, so a link ends with the key, and with the file.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from policies import Role
from service.query.records.ordering import CursorError, Cursors, from_microseconds, microseconds

LINK_LIFETIME: Final = timedelta(hours=1)
PARAMETER: Final = "link"


@dataclass(frozen=True, slots=True)
class LinkMaker:
    """Who made a link: a key, or a session token of it, with its role. `bound`: to accounts; those of the export."""

    key_id: str
    role: Role
    bound: bool


def seal_link(cursors: Cursors, id_: UUID, sha256: str, maker: LinkMaker) -> str:
    """The text of a link to the file with this digest, for LINK_LIFETIME from now."""
    until = microseconds(datetime.now(UTC) + LINK_LIFETIME)
    return cursors.seal((until, maker.key_id, maker.role.value, int(maker.bound)), _binding(id_, sha256))


def open_link(cursors: Cursors, id_: UUID, sha256: str, text: str) -> LinkMaker | None:
    """Whom the link acts for; None when it is none of this file, or its time is over."""
    try:
        until, key_id, role, bound = cursors.open(text, _binding(id_, sha256))
    except (CursorError, ValueError):
        return None
    assert isinstance(until, int), "nobody else seals with this binding"
    return LinkMaker(str(key_id), Role(role), bool(bound)) if from_microseconds(until) > datetime.now(UTC) else None


def _binding(id_: UUID, sha256: str) -> bytes:
    return Cursors.binding("link to an export", id_.hex, sha256)
