"""What a keyring says of itself: its id, the salt for passphrases, and which key-encryption keys wrap its keys."""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

FORMAT: Final = 2
SALT_BYTES: Final = 16
KEK_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class KekRecord:
    """One key-encryption key of a keyring.

    `id` is random, made when the keyring took the key up: entries carry it. `url` says where the key was then. `check`
    is a known value that it has wrapped: whatever opens it is the key.
    """

    id: bytes
    url: str
    check: bytes


@dataclass(frozen=True, slots=True)
class Metadata:
    """The first of `keks` wraps new keys. There are others only while the keyring is rotated away from them."""

    id: UUID
    salt: bytes
    keks: tuple[KekRecord, ...]

    @property
    def current(self) -> KekRecord:
        return self.keks[0]

    def encode(self) -> str:
        """As JSON. It holds no secret."""
        keks = [
            {"id": kek.id.hex(), "url": kek.url, "check": b64encode(kek.check).decode("ascii")} for kek in self.keks
        ]
        value = {"format": FORMAT, "id": str(self.id), "salt": self.salt.hex(), "keks": keks}
        return json.dumps(value, indent=2) + "\n"

    @classmethod
    def decode(cls, content: bytes | str) -> "Metadata":
        """ValueError, KeyError, TypeError, AttributeError or RecursionError for anything that `encode` never wrote."""
        value = json.loads(content)
        keks = tuple(_record(kek) for kek in value["keks"])
        if value["format"] != FORMAT or not keks:
            raise ValueError
        return cls(UUID(value["id"]), bytes.fromhex(value["salt"]), keks)


def _record(value: dict[str, Any]) -> KekRecord:
    record = KekRecord(bytes.fromhex(value["id"]), value["url"], b64decode(value["check"], validate=True))
    if len(record.id) != KEK_ID_BYTES or not isinstance(record.url, str):
        raise ValueError
    return record
