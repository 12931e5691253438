"""What a keyring says of itself: its id, the salt for passphrases, and which key-encryption keys wrap its keys."""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from service.keyring.errors import KeyringNewerError

FORMAT: Final = 3
"""Keys are wrapped by pack keys from this format on; in a keyring of format 2 each is wrapped for itself."""
_KNOWN: Final = (2, FORMAT)
SALT_BYTES: Final = 16
KEK_ID_BYTES: Final = 8
_LABEL: Final = b"calledger/kek-voucher/v1"


@dataclass(frozen=True, slots=True)
class KekRecord:
    """One key-encryption key of a keyring.

    `id` is 8 random bytes, made when the keyring took the key up: entries carry it. `url` is the key's address at that
    time. `check` is a known value that the key has wrapped: the key that opens it is the right one. `vouchers` are this
    record's digest wrapped by other key-encryption keys, by their ids: somebody who can write to the key store, and has
    no key-encryption key, cannot lead a service to a key of his own.
    """

    id: bytes
    url: str
    check: bytes
    vouchers: tuple[tuple[bytes, bytes], ...] = ()

    def digest(self) -> bytes:
        """What a voucher confirms: the SHA-256 of this record's id and address, 32 bytes."""
        return sha256(_LABEL + self.id + self.url.encode()).digest()


@dataclass(frozen=True, slots=True)
class Metadata:
    """A keyring's id, the 16-byte salt for passphrases, its key-encryption keys, and its format.

    The first of `keks` wraps new keys. There are others only while the keyring is rotated away from them.
    """

    id: UUID
    salt: bytes
    keks: tuple[KekRecord, ...]
    format: int = FORMAT

    @property
    def current(self) -> KekRecord:
        """The key-encryption key that wraps new keys."""
        return self.keks[0]

    @property
    def packs(self) -> bool:
        """Whether new keys of accounts and periods are wrapped by pack keys."""
        return self.format >= FORMAT

    def encode(self) -> str:
        """The metadata as JSON text with a final newline. It holds no secret."""
        keks = [
            {
                "id": kek.id.hex(),
                "url": kek.url,
                "check": b64encode(kek.check).decode("ascii"),
                "vouchers": {by.hex(): b64encode(voucher).decode("ascii") for by, voucher in kek.vouchers},
            }
            for kek in self.keks
        ]
        value = {"format": self.format, "id": str(self.id), "salt": self.salt.hex(), "keks": keks}
        return json.dumps(value, indent=2) + "\n"

    @classmethod
    def decode(cls, content: bytes | str) -> "Metadata":
        """The metadata in a text that `encode` wrote.

        Raises `KeyringNewerError` for that of a later version, and ValueError, KeyError, TypeError, AttributeError or
        RecursionError for any other text.
        """
        value = json.loads(content)
        if isinstance(value["format"], int) and value["format"] > FORMAT:
            raise KeyringNewerError(
                f"the keyring has format {value['format']} of a newer calledger, and this one knows {FORMAT}: install"
                " the version that was installed last, or restore the keyring from a backup of before the upgrade"
            )
        keks = tuple(_record(kek) for kek in value["keks"])
        if value["format"] not in _KNOWN or not keks:
            raise ValueError
        return cls(UUID(value["id"]), bytes.fromhex(value["salt"]), keks, value["format"])


def _record(value: dict[str, Any]) -> KekRecord:
    vouchers = ((bytes.fromhex(by), b64decode(text, validate=True)) for by, text in value["vouchers"].items())
    check = b64decode(value["check"], validate=True)
    record = KekRecord(bytes.fromhex(value["id"]), value["url"], check, tuple(vouchers))
    if len(record.id) != KEK_ID_BYTES or not isinstance(record.url, str):
        raise ValueError
    return record
