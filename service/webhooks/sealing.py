"""The address and the secrets of a webhook, sealed under a key that comes of the keyring's.

The address is sealed too, because that of a chat or a paging service is a credential in itself.
"""

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import CalledgerError
from service.keyring import Keyring
from service.webhooks.signatures import SigningSecret

_LABEL: Final = b"calledger/webhook/v1"
_NONCE_BYTES: Final = 12


class SealLostError(CalledgerError):
    """its address and secrets do not open: the keyring is another one by now; make the webhook anew"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events are sent, and what signs them: the newest secret first."""

    url: str
    secrets: Sequence[SigningSecret]


async def seal_endpoint(keyring: Keyring, webhook: UUID, endpoint: Endpoint) -> bytes:
    """The endpoint, sealed for the webhook of this id. Raises KeyringUnavailableError."""
    secrets = [(one.key.hex(), one.ends_at and one.ends_at.isoformat()) for one in endpoint.secrets]
    nonce, text = os.urandom(_NONCE_BYTES), orjson.dumps({"url": endpoint.url, "secrets": secrets})
    return nonce + (await _cipher(keyring)).encrypt(nonce, text, _LABEL + webhook.bytes)


async def open_endpoint(keyring: Keyring, webhook: UUID, sealed: bytes) -> Endpoint:
    """What was sealed. Raises SealLostError for what was sealed under another keyring or for another webhook, and
    KeyringUnavailableError.
    """
    try:
        cipher = await _cipher(keyring)
        found = orjson.loads(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + webhook.bytes))
    except (InvalidTag, ValueError):
        raise SealLostError from None
    secrets = [SigningSecret(bytes.fromhex(key), end and datetime.fromisoformat(end)) for key, end in found["secrets"]]
    return Endpoint(found["url"], secrets)


async def _cipher(keyring: Keyring) -> AESGCM:
    # Of the secret for cursors, under a label of its own: neither can be taken for the other.
    return AESGCM(hmac.digest(await keyring.secret("cursor"), _LABEL, "sha256"))
