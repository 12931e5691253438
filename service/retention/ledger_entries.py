"""What the entries of retention say in the ledger: ids, counts and digests in the leaf, free text in its erasable note.

No fact has a name, a reason or anybody's id.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from service.keyring import PeriodKeyName

ERASED: Final = "[erased]"
"""Stands for a text that was erased with its note."""

NAMES_MAX: Final = 500
"""How many names one entry lists at most."""


def key_names(keys: Iterable[tuple[int, str, str]]) -> list[str]:
    """The names of period keys given as (tier, class, period)."""
    return [str(PeriodKeyName(*key)) for key in keys]


def listed(names: Sequence[str]) -> list[str] | dict[str, object]:
    """Names as they are; of more than `NAMES_MAX` only the count and digest, because an entry's size is limited."""
    return list(names) if len(names) <= NAMES_MAX else {"count": len(names), "digest": text_digest(*names)}


def text_digest(*texts: str | None) -> str:
    """The SHA-256 of texts that say what something was about, as `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + sha256(repr(texts).encode("utf-8", "backslashreplace")).hexdigest()


def ids_digest(ids: list[UUID]) -> str:
    """The SHA-256 of these ids in sorted order, as `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + sha256(b"".join(sorted(one.bytes for one in ids))).hexdigest()
