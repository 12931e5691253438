"""Names of keys: where a key is stored, what its wrapping is bound to, and what a tombstone keeps of it."""

import re
from typing import Final, NamedTuple
from uuid import UUID

_PERIOD: Final = re.compile(
    r"period/(0|[1-9][0-9]{0,4})/([a-z][a-z0-9_]{0,31})"
    r"/([0-9]{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)",
    re.ASCII,
)
_ACCOUNT: Final = re.compile(r"account/(0|[1-9][0-9]{0,18})", re.ASCII)
_HOLD: Final = re.compile(r"hold/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)
_ERASURE: Final = re.compile(r"erasure/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)


class PeriodKeyName(NamedTuple):
    """The key of one tier, data class and UTC day `2026-11-22` (or month `2026-11`)."""

    tier: int
    data_class: str
    period: str

    def __str__(self) -> str:
        return f"period/{self.tier}/{self.data_class}/{self.period}"


class AccountKeyName(NamedTuple):
    """The key of one account."""

    account: int

    def __str__(self) -> str:
        return f"account/{self.account}"


class HoldKeyName(NamedTuple):
    """The key that wraps the record keys which a legal hold escrows."""

    hold: UUID

    def __str__(self) -> str:
        return f"hold/{self.hold}"


class ErasureKeyName(NamedTuple):
    """The key that seals the name of the person whom an erasure looks for, until it has looked everywhere."""

    erasure: UUID

    def __str__(self) -> str:
        return f"erasure/{self.erasure}"


KeyName = PeriodKeyName | AccountKeyName | HoldKeyName | ErasureKeyName


def parse_name(text: str) -> KeyName:
    """The name that prints as `text`; `ValueError` for anything else, such as a path with dots in it."""
    if match := _PERIOD.fullmatch(text):
        return PeriodKeyName(int(match[1]), match[2], match[3])
    if match := _ACCOUNT.fullmatch(text):
        return AccountKeyName(int(match[1]))
    if match := _HOLD.fullmatch(text):
        return HoldKeyName(UUID(match[1]))
    if match := _ERASURE.fullmatch(text):
        return ErasureKeyName(UUID(match[1]))
    raise ValueError(f"no key is named `{text}`")
