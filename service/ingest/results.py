"""What became of one reported call."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from service.ingest.refusals import Refusal

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class Status(StrEnum):
    """The ends that a row can meet."""

    ACCEPTED = "accepted"
    COMPLETED = "completed"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class RowResult(NamedTuple):
    """`id` is the outward id (`call_...`) of an accepted or known call; `reason` says why one was not taken.

    A duplicate was stored before with the same content. What completes a call is stored into it. A conflict has the id
    of a stored call and other content: it is not stored. What is no call is skipped. `dropped` counts the fields that
    were left out of the row, `warnings` say why some of them were, and what is remarkable of a correction. `code` is
    the reason from the closed list, of a call that was not stored and is no duplicate.
    """

    status: Status
    id: str | None = None
    reason: str | None = None
    dropped: Mapping[str, int] = _NOTHING
    warnings: tuple[str, ...] = ()
    code: Refusal | None = None
