"""The sealed-bytes format: one record's private text, bound to its place, under keys that can be destroyed.

`docs/envelope.md` is the specification; names and constants here are the ones it uses.
Pure: keys and salts are arguments. A salt is 24 bytes from the system's random source, fresh for every call of `seal`.
"""

import hmac
from dataclasses import dataclass
from functools import lru_cache
from hmac import compare_digest
from struct import pack, unpack_from
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from policies.errors import PolicyError

KEY_BYTES: Final = 32
SALT_BYTES: Final = 24
PADDING_STEP_BYTES: Final = 64
PLAINTEXT_BYTES_MAX: Final = 16 * 1024 * 1024

_SUITE: Final = b"\x01"  # HKDF-SHA256, AES-256-GCM, 32-byte commitment
_COMMITMENT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_HEADER_BYTES: Final = len(_SUITE) + SALT_BYTES + _COMMITMENT_BYTES
_SEALED_BYTES_MIN: Final = _HEADER_BYTES + PADDING_STEP_BYTES + _TAG_BYTES
_DATA_KEY_LABEL: Final = b"\x00\x15calledger/data-key/v1"
_SEALED_LABEL: Final = b"\x00\x13calledger/sealed/v1"
_NAME_BYTES_MAX: Final = 255
_SHA256: Final = SHA256()
# Fixed, because a key that encrypts is made from a fresh salt and used for one message only.
_NONCE: Final = bytes(12)
_ZEROS: Final = tuple(bytes(count) for count in range(PADDING_STEP_BYTES))

OVERHEAD_BYTES: Final = _HEADER_BYTES + _LENGTH_BYTES + _TAG_BYTES
"""What sealing adds, besides padding: 77 bytes."""


class EnvelopeError(PolicyError):
    """the value cannot be sealed"""


class OpenError(EnvelopeError):
    """the sealed value does not open here: it was altered, moved, or sealed under another key"""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a sealed value belongs. It opens only with the same five facts.

    `record` is 16 bytes (the row's id), `period` the UTC day `2026-11-22` or month `2026-11` of its period key,
    `account` from 0 to 2**63 - 1. Tier and policy version are left out on purpose: both may change around a row.
    """

    account: int
    store: str
    record: bytes
    period: str
    data_class: str

    def __post_init__(self) -> None:
        if not 0 <= self.account < 2**63:
            raise EnvelopeError("the account number must be from 0 to 2**63 - 1")
        if len(self.record) != 16:
            raise EnvelopeError("the record id must be 16 bytes")
        for name in (self.store, self.period, self.data_class):
            if not (name.isascii() and 0 < len(name) <= _NAME_BYTES_MAX):
                raise EnvelopeError("store, period and class must be 1 to 255 ASCII characters")

    def encode(self) -> bytes:
        """Canonical bytes: each field after its length (2 bytes, big-endian), so that no two contexts share them."""
        before, after = _around_record(self.store, self.period, self.data_class)
        return pack(">HQ", 8, self.account) + before + self.record + after


@lru_cache(maxsize=256)
def _around_record(store: str, period: str, data_class: str) -> tuple[bytes, bytes]:
    """The fields before and after the record id: the same for every record of a day."""
    return _field(store) + b"\x00\x10", _field(period) + _field(data_class)


def _field(text: str) -> bytes:
    return pack(">H", len(text)) + text.encode()


def data_key(period_key: bytes, account_key: bytes) -> bytes:
    """The 32-byte key of one account's records of one tier, class and period.

    It is gone when either of the two 32-byte keys is.
    """
    if len(period_key) != KEY_BYTES or len(account_key) != KEY_BYTES:
        raise EnvelopeError("period key and account key must be 32 bytes")
    return hmac.digest(period_key, _DATA_KEY_LABEL + account_key, "sha256")


def seal(plaintext: bytes, *, data_key: bytes, context: Context, salt: bytes) -> bytes:
    """Seal `plaintext` for `context`. `salt`: 24 random bytes, never used before with this data key.

    The result is 77 bytes and up to 63 bytes of padding longer. `EnvelopeError` if an argument has the wrong size.
    """
    if len(data_key) != KEY_BYTES or len(salt) != SALT_BYTES:
        raise EnvelopeError("the data key must be 32 bytes and the salt 24")
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise EnvelopeError(f"a sealed value holds at most {PLAINTEXT_BYTES_MAX} bytes")
    place = context.encode()
    secret = HKDF(_SHA256, KEY_BYTES + _COMMITMENT_BYTES, salt, _SEALED_LABEL + place).derive(data_key)
    head = _SUITE + salt
    ciphertext = AESGCM(secret[:KEY_BYTES]).encrypt(_NONCE, _pad(plaintext), head + place)
    return head + secret[KEY_BYTES:] + ciphertext


def open_sealed(sealed: bytes, *, data_key: bytes, context: Context) -> bytes:
    """The plaintext of `sealed`; `OpenError`, and nothing more, if key, context or any bit differ."""
    _check_frame(sealed, data_key)
    place = context.encode()
    secret = HKDF(_SHA256, KEY_BYTES + _COMMITMENT_BYTES, sealed[1:25], _SEALED_LABEL + place).derive(data_key)
    return _open(sealed, secret, place)


def record_key(data_key: bytes, sealed: bytes) -> bytes:
    """The 32 bytes that open this one sealed value and no other: what a legal hold escrows.

    It is the PRK of HKDF-Extract (RFC 5869, section 2.2), from which the data key cannot be found.
    """
    _check_frame(sealed, data_key)
    return HKDF.extract(SHA256(), sealed[1:25], data_key)


def open_with_record_key(sealed: bytes, *, record_key: bytes, context: Context) -> bytes:
    """As `open_sealed`, with the key from `record_key`, when the data key is gone."""
    _check_frame(sealed, record_key)
    place = context.encode()
    secret = HKDFExpand(_SHA256, KEY_BYTES + _COMMITMENT_BYTES, _SEALED_LABEL + place).derive(record_key)
    return _open(sealed, secret, place)


def _check_frame(sealed: bytes, key: bytes) -> None:
    size = len(sealed)
    if size < _SEALED_BYTES_MIN or (size - _SEALED_BYTES_MIN) % PADDING_STEP_BYTES or not sealed.startswith(_SUITE):
        raise OpenError
    if len(key) != KEY_BYTES:
        raise OpenError


def _open(sealed: bytes, secret: bytes, place: bytes) -> bytes:
    # GCM alone would let one ciphertext open under two keys; the commitment ties it to one key and one context.
    if not compare_digest(secret[KEY_BYTES:], sealed[25:_HEADER_BYTES]):
        raise OpenError
    try:
        padded = AESGCM(secret[:KEY_BYTES]).decrypt(_NONCE, sealed[_HEADER_BYTES:], sealed[:25] + place)
    except InvalidTag:
        raise OpenError from None
    return _unpad(padded)


def _pad(plaintext: bytes) -> bytes:
    size = len(plaintext)
    return pack(">I", size) + plaintext + _ZEROS[-(size + _LENGTH_BYTES) % PADDING_STEP_BYTES]


def _unpad(padded: bytes) -> bytes:
    end = unpack_from(">I", padded)[0] + _LENGTH_BYTES
    padding = len(padded) - end
    if not 0 <= padding < PADDING_STEP_BYTES or padded.count(0, end) != padding:
        raise OpenError
    return padded[_LENGTH_BYTES:end]
