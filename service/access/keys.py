"""The form of an API key: `cl_<8 characters>_<secret of 256 bits><checksum>`.

The prefix is public and finds the key. The checksum (CRC-32, six characters) lets secret scanners and people
tell a mistyped key from a wrong one without a look-up. What is stored is HMAC-SHA256 of the whole key under a pepper
that lives in the keyring, not in the database.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_FORM = re.compile(r"cl_([2-9a-hjkmnp-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its birth: the only time that `text` is known."""

    prefix: str
    text: str
    mac: bytes


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(prefix: str, secret: str) -> str:
    return _base62(zlib.crc32(f"{prefix}_{secret}".encode()), 6)


def mac_of(text: str, pepper: bytes) -> bytes:
    """What the database holds of a key."""
    return hmac.digest(pepper, b"calledger api key\x00" + text.encode(), hashlib.sha256)


def mac_digest(mac: bytes) -> str:
    """What the ledger holds of a key's MAC: enough to tell when another was put in its place."""
    return "sha256:" + hashlib.sha256(mac).hexdigest()


def new_key(pepper: bytes) -> NewKey:
    """A key of random prefix and secret, with the keyed hash under `pepper` that is stored in its stead."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(8))
    secret = _base62(secrets.randbits(256), 43)
    text = f"cl_{prefix}_{secret}{_checksum(prefix, secret)}"
    return NewKey(prefix, text, mac_of(text, pepper))


def prefix_of(text: str) -> str | None:
    """The prefix of a well-formed key whose checksum holds, else None."""
    match = _FORM.fullmatch(text)
    if match is None or _checksum(match[1], match[2]) != match[3]:
        return None
    return match[1]
