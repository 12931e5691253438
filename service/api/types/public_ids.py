"""Opaque ids as clients have them: a prefix that says what of, and base32."""

import base64
import binascii
from uuid import UUID

import strawberry

from service.storage.ids import public_id


def encode_account_id(number: int) -> strawberry.ID:
    """`acct_` and seven characters."""
    return strawberry.ID("acct_" + base64.b32encode(number.to_bytes(4, "big")).decode().rstrip("=").lower())


def decode_account_id(text: str) -> int | None:
    """The account's number; None for what is no account's id."""
    body = text.removeprefix("acct_")
    try:
        number = int.from_bytes(base64.b32decode(body.upper() + "=" * (-len(body) % 8)), "big")
        return number if encode_account_id(number) == text and number < 2**31 else None
    except (binascii.Error, ValueError, OverflowError):
        return None


def encode_id(kind: str, id_: UUID) -> strawberry.ID:
    """`hold_` and 26 characters."""
    return strawberry.ID(public_id(kind, id_))


def decode_id(kind: str, text: str) -> UUID | None:
    """The id in `text`; None when it is none of that kind."""
    body = text.removeprefix(f"{kind}_")
    try:
        id_ = UUID(bytes=base64.b32decode(body.upper() + "=" * (-len(body) % 8)))
    except (binascii.Error, ValueError):
        return None
    return id_ if encode_id(kind, id_) == text else None
