"""The address and the secret of a source, sealed under a key that comes of the keyring's."""

import hmac
import os
from dataclasses import asdict, dataclass
from typing import Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import OperatorError
from service.keyring import Keyring

_LABEL: Final = b"calledger/source/v1"
_NONCE_BYTES: Final = 12


class SourceSealLostError(OperatorError):
    """its address and secret do not open: the keyring is another one by now; add the source anew"""


@dataclass(frozen=True, slots=True)
class SealedAddress:
    """Where a source is, what opens it, and who asks there."""

    address: str
    secret: str | None
    user: str | None


async def seal_address(keyring: Keyring, source: UUID, where: SealedAddress) -> bytes:
    """The address, sealed for the source of this id. Raises KeyringUnavailableError."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + (await _cipher(keyring)).encrypt(nonce, orjson.dumps(asdict(where)), _LABEL + source.bytes)


async def open_address(keyring: Keyring, source: UUID, sealed: bytes) -> SealedAddress:
    """What was sealed. Raises SourceSealLostError for another keyring's or source's, and KeyringUnavailableError."""
    try:
        cipher = await _cipher(keyring)
        found = orjson.loads(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + source.bytes))
    except (InvalidTag, ValueError):
        raise SourceSealLostError from None
    return SealedAddress(**found)


async def _cipher(keyring: Keyring) -> AESGCM:
    # Of the secret for cursors, under a label of its own: neither can be taken for the other.
    return AESGCM(hmac.digest(await keyring.secret("cursor"), _LABEL, "sha256"))
