"""The address and the secrets of a webhook, sealed under a key that comes of the keyring's.

The address is sealed too, because that of a chat or a paging service is a credential in itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from service.errors import CalledgerError
from service.keyring import Keyring
from service.keyring.sealing import open_value, seal_value
from service.webhooks.signatures import SigningSecret

_LABEL: Final = b"calledger/webhook/v1"


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
    return await seal_value(keyring, _LABEL, webhook, {"url": endpoint.url, "secrets": secrets})


async def open_endpoint(keyring: Keyring, webhook: UUID, sealed: bytes) -> Endpoint:
    """What was sealed. Raises SealLostError for what was sealed under another keyring or for another webhook, and
    KeyringUnavailableError.
    """
    try:
        found = await open_value(keyring, _LABEL, webhook, sealed)
    except ValueError:
        raise SealLostError from None
    secrets = [SigningSecret(bytes.fromhex(key), end and datetime.fromisoformat(end)) for key, end in found["secrets"]]
    return Endpoint(found["url"], secrets)
