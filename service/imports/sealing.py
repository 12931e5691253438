"""The address and the secret of a source, sealed under a key that comes of the keyring's."""

from dataclasses import asdict, dataclass
from typing import Final
from uuid import UUID

from service.errors import OperatorError
from service.keyring import Keyring
from service.keyring.sealing import open_value, seal_value

_LABEL: Final = b"calledger/source/v1"


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
    return await seal_value(keyring, _LABEL, source, asdict(where))


async def open_address(keyring: Keyring, source: UUID, sealed: bytes) -> SealedAddress:
    """What was sealed. Raises SourceSealLostError for another keyring's or source's, and KeyringUnavailableError."""
    try:
        return SealedAddress(**await open_value(keyring, _LABEL, source, sealed))
    except ValueError:
        raise SourceSealLostError from None
