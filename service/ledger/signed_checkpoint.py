"""A signed checkpoint as others keep and compare it (C2SP signed note)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as issued. `note` is the C2SP signed note, `public_key` the verifier key (vkey)."""

    size: int
    issued_at: datetime
    note: str
    public_key: str
