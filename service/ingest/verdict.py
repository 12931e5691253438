"""What became of one reported call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """The four ends that a row can meet."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`id` is the outward id (`call_...`) of an accepted or known call; `reason` says why one was not taken.

    A duplicate was stored before with the same content. A conflict has the id of a stored call and other content: it is
    not stored. `dropped` counts the fields that were left out of the row.
    """

    status: Status
    id: str | None = None
    reason: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
