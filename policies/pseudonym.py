"""Pseudonyms: a user of one account in one period, as a number that dies with the period's key.

A token is 8 bytes of HMAC-SHA256 over the user's plain id. Within a period it is stable, so that calls can be counted
and filtered by it; across periods nothing links it; when the period key or the account key is destroyed nobody can
compute it again, so that a plain id can no longer be tried against it.
"""

import hmac
from base64 import b32decode
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from policies.base32 import AT_ONCE, WIDTH, base32_texts
from policies.errors import PolicyError

_KEY_LABEL: Final = b"\x00\x1acalledger/pseudonym-key/v1"
_CHECK_LABEL: Final = b"calledger/pseudonym/v1"
_PREFIX: Final = "usr_"
_BODY_CHARACTERS: Final = 24  # base32 of 1 byte kind, 3 bytes period, 8 bytes token, 3 bytes check
_PADDING: Final = bytes(WIDTH - 15)
_DAY: Final = b"d"
_MONTH: Final = b"m"


class PseudonymError(PolicyError):
    """the user's pseudonym cannot be read"""


def pseudonym_key(period_key: bytes, account_key: bytes) -> bytes:
    """The 32-byte key of one account's pseudonyms of one period; never the one that seals."""
    if len(period_key) != 32 or len(account_key) != 32:
        raise PseudonymError("period key and account key must be 32 bytes")
    return hmac.digest(period_key, _KEY_LABEL + account_key, "sha256")


def token(*, key: bytes, user: str) -> int:
    """The user's token, as it is stored: a signed 64-bit integer.

    Lone surrogates, which a JSON report may carry, are taken as they come.
    """
    return Tokenizer(key).token(user)


class Tokenizer:
    """`token` for many users of one key: HMAC takes the key in once, which is two thirds of what a token costs."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = HMAC(key, SHA256())

    def token(self, user: str) -> int:
        """The user's token under this key."""
        step = self._keyed.copy()
        step.update(user.encode("utf-8", "surrogatepass"))
        return int.from_bytes(step.finalize()[:8], "big", signed=True)


def outward(token: int, period: str) -> str:
    """The form that leaves the service, `usr_` and 24 characters: says nothing but that two are the same.

    `period` is the UTC day `2026-11-22` or month `2026-11` of the token's key: it is carried, since a token means
    nothing outside it.
    """
    return outward_all([(token, period)])[0]


def outward_all(tokens: Sequence[tuple[int, str]]) -> list[str]:
    """`outward` of many (token, period)."""
    texts: list[str] = []
    for start in range(0, len(tokens), AT_ONCE):
        some = tokens[start : start + AT_ONCE]
        bodies = [_period_bytes(period) + token.to_bytes(8, "big", signed=True) for token, period in some]
        data = b"".join([_PADDING + body + _check(body) for body in bodies])
        texts += [_PREFIX + text[-_BODY_CHARACTERS:] for text in base32_texts("", data, len(some))]
    return texts


def parse(text: str) -> tuple[int, str]:
    """`(token, period)` of an outward form; `PseudonymError` for anything that `outward` did not write."""
    body = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX) or len(body) != _BODY_CHARACTERS or not body.isascii() or body != body.lower():
        raise PseudonymError
    try:
        raw = b32decode(body.upper())
    except ValueError:
        raise PseudonymError from None
    if _check(raw[:12]) != raw[12:]:
        raise PseudonymError
    return int.from_bytes(raw[4:12], "big", signed=True), _period_text(raw[:4])


def _check(body: bytes) -> bytes:
    # Finds typing errors and guesses. It is no proof of origin: a token reveals nothing to one who makes it up.
    return sha256(_CHECK_LABEL + body).digest()[:3]


@lru_cache(maxsize=64)
def _period_bytes(period: str) -> bytes:
    day = period if len(period) == 10 else period + "-01"
    try:
        first = date.fromisoformat(day)
    except ValueError:
        first = None
    # fromisoformat also reads other ISO 8601 forms; only the one that is stored names a period.
    if first is None or first.isoformat() != day:
        raise PseudonymError("a period is a day such as `2026-11-22` or a month such as `2026-11`")
    if period == day:
        return _DAY + first.toordinal().to_bytes(3, "big")
    return _MONTH + (first.year * 12 + first.month - 1).to_bytes(3, "big")


def _period_text(raw: bytes) -> str:
    kind, number = raw[:1], int.from_bytes(raw[1:], "big")
    try:
        if kind == _DAY:
            return date.fromordinal(number).isoformat()
        if kind == _MONTH:
            return date(number // 12, number % 12 + 1, 1).isoformat()[:7]
    except ValueError:
        pass
    raise PseudonymError
