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
from cryptography.hazmat.primitives.hmac import HMAC

from policies.errors import PolicyError

KEY_BYTES: Final = 32
RECORD_KEY_BYTES: Final = 64
SALT_BYTES: Final = 24
PADDING_STEP_BYTES: Final = 64
PLAINTEXT_BYTES_MAX: Final = 16 * 1024 * 1024

_SUITE: Final = b"\x01"  # HKDF-Expand with SHA-256, AES-256-GCM, 32-byte commitment
_COMMITMENT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_HEADER_BYTES: Final = len(_SUITE) + SALT_BYTES + _COMMITMENT_BYTES
_SEALED_BYTES_MIN: Final = _HEADER_BYTES + PADDING_STEP_BYTES + _TAG_BYTES
_DATA_KEY_LABEL: Final = b"\x00\x15calledger/data-key/v1"
_SEALED_LABEL: Final = b"\x00\x13calledger/sealed/v1"
_NAME_BYTES_MAX: Final = 255
# Fixed, because a key that encrypts is made from a fresh salt and used for one message only.
_NONCE: Final = bytes(12)
_ZEROS: Final = tuple(bytes(count) for count in range(PADDING_STEP_BYTES))


class EnvelopeError(PolicyError):
    """the value cannot be sealed"""


class OpenError(EnvelopeError):
    """the sealed value does not open here: it was altered, moved, or sealed under another key"""


@dataclass(frozen=True, slots=True)
class SealContext:
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


class DataKey:
    """The 32-byte key of one account's records of one tier, class and period. `EnvelopeError` for another size.

    HMAC takes the key in once, and every record goes on from there: that halves what deriving its keys costs.
    """

    __slots__ = ("_keyed", "secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise EnvelopeError("a data key is 32 bytes")
        self.secret = secret
        self._keyed = HMAC(secret, SHA256())

    def expand(self, info: bytes) -> bytes:
        """64 bytes by HKDF-Expand (RFC 5869, section 2.3); the data key is random itself, so nothing is extracted."""
        step = self._keyed.copy()
        step.update(info + b"\x01")
        first = step.finalize()
        step = self._keyed.copy()
        step.update(first + info + b"\x02")
        return first + step.finalize()


def data_key(period_key: bytes, account_key: bytes) -> DataKey:
    """The data key of two 32-byte keys. It is gone when either of them is."""
    if len(period_key) != KEY_BYTES or len(account_key) != KEY_BYTES:
        raise EnvelopeError("period key and account key must be 32 bytes")
    return DataKey(hmac.digest(period_key, _DATA_KEY_LABEL + account_key, "sha256"))


def seal(plaintext: bytes, *, data_key: DataKey, context: SealContext, salt: bytes) -> bytes:
    """Seal `plaintext` for `context`. `salt`: 24 random bytes, never used before with this data key.

    The result is 77 bytes and up to 63 bytes of padding longer. `EnvelopeError` if an argument has the wrong size.
    """
    if len(salt) != SALT_BYTES:
        raise EnvelopeError("the salt must be 24 bytes")
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise EnvelopeError(f"a sealed value holds at most {PLAINTEXT_BYTES_MAX} bytes")
    bound_to = context.encode()
    key = data_key.expand(_SEALED_LABEL + salt + bound_to)
    head = _SUITE + salt
    ciphertext = AESGCM(key[:KEY_BYTES]).encrypt(_NONCE, _pad(plaintext), head + bound_to)
    return head + key[KEY_BYTES:] + ciphertext


def open_sealed(sealed: bytes, *, data_key: DataKey, context: SealContext) -> bytes:
    """The plaintext of `sealed`; `OpenError`, and nothing more, if key, context or any bit differ."""
    bound_to = context.encode()
    return _open(sealed, data_key.expand(_SEALED_LABEL + sealed[1:25] + bound_to), bound_to)


def record_key(sealed: bytes, *, data_key: DataKey, context: SealContext) -> bytes:
    """The 64 bytes that open this one sealed value and no other, here and nowhere else: what a legal hold escrows.

    The encryption key and the commitment; the data key cannot be found from them.
    """
    return data_key.expand(_SEALED_LABEL + sealed[1:25] + context.encode())


def open_with_record_key(sealed: bytes, *, record_key: bytes, context: SealContext) -> bytes:
    """As `open_sealed`, with the key from `record_key`, when the data key is gone."""
    if len(record_key) != RECORD_KEY_BYTES:
        raise OpenError
    return _open(sealed, record_key, context.encode())


def _open(sealed: bytes, key: bytes, bound_to: bytes) -> bytes:
    size = len(sealed)
    if size < _SEALED_BYTES_MIN or (size - _SEALED_BYTES_MIN) % PADDING_STEP_BYTES or not sealed.startswith(_SUITE):
        raise OpenError
    # GCM alone would let one ciphertext open under two keys; the commitment ties it to one key and one context.
    if not compare_digest(key[KEY_BYTES:], sealed[25:_HEADER_BYTES]):
        raise OpenError
    try:
        padded = AESGCM(key[:KEY_BYTES]).decrypt(_NONCE, sealed[_HEADER_BYTES:], sealed[:25] + bound_to)
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
