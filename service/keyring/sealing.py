"""Small JSON values of the service's own, such as addresses and secrets of others, sealed under a key that comes of the
keyring's.
"""

import hmac
import os
from typing import Any, Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.keyring.protocol import Keyring

_NONCE_BYTES: Final = 12


async def seal_value(keyring: Keyring, label: bytes, id_: UUID, value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """The value, sealed for what has this id: nonce and AES-256-GCM, bound to label and id. KeyringUnavailableError."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + (await _cipher(keyring, label)).encrypt(nonce, orjson.dumps(value), label + id_.bytes)


async def open_value(keyring: Keyring, label: bytes, id_: UUID, sealed: bytes) -> Any:  # noqa: ANN401 - any JSON
    """What was sealed. Raises ValueError for what was sealed under another keyring, label or id, and
    KeyringUnavailableError.
    """
    cipher = await _cipher(keyring, label)
    try:
        return orjson.loads(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label + id_.bytes))
    except InvalidTag:
        raise ValueError("it is not sealed under this key") from None


async def _cipher(keyring: Keyring, label: bytes) -> AESGCM:
    # Of the secret for cursors, under a label of each use: none can be taken for another.
    return AESGCM(hmac.digest(await keyring.secret("cursor"), label, "sha256"))
