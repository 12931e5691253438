"""The plain id of the person whom an erasure looks for, sealed under a key of its own until the search is over."""

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.keyring import ErasureKeyName, KeyGoneError, Keyring

_LABEL: Final = b"calledger/erased-person/v1"
_NONCE_BYTES: Final = 12


async def seal_person(keyring: Keyring, erasure: UUID, user: str) -> bytes:
    """The plain id of a person, sealed under a key that is made for this erasure."""
    key, nonce = await keyring.key(ErasureKeyName(erasure), mint=True), os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, user.encode("utf-8", "surrogatepass"), _LABEL + erasure.bytes)


async def open_person(keyring: Keyring, erasure: UUID, sealed: bytes) -> str | None:
    """The plain id of the person; None when its key is gone. Raises KeyringUnavailableError."""
    try:
        key = await keyring.key(ErasureKeyName(erasure), mint=False)
        opened = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + erasure.bytes)
    except (KeyGoneError, InvalidTag):
        return None
    return opened.decode("utf-8", "surrogatepass")
