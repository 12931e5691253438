"""The pepper and the cursor key, which let this host start while the keyring, or the key that wraps it, is unreachable
or lost.

They are kept in one file of mode 0600 in the data directory, next to the admin's key. Neither opens anything that is
sealed, and neither signs the ledger: the signer and all data keys are in the keyring alone.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from service.keyring.stores.private_files import make_directory, publish, read_private, replace
from service.keyring.wrapping import KEY_BYTES

KEPT: Final = ("pepper", "cursor")


class FallbackSecrets:
    """The file of fallback secrets of one database."""

    def __init__(self, path: Path, database_id: UUID) -> None:
        self._path = path
        self._database_id = database_id

    @property
    def path(self) -> Path:
        """The path of the file, whether or not it exists."""
        return self._path

    def read(self) -> dict[str, bytes]:
        """The kept secrets by name; empty if there is no file, or one of another database.

        `KeyringExposedError` if others can read it.
        """
        try:
            value = json.loads(read_private(self._path))
            if value["database"] != str(self._database_id):
                return {}
            secrets = {name: b64decode(value[name], validate=True) for name in KEPT}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}
        return secrets if all(len(secret) == KEY_BYTES for secret in secrets.values()) else {}

    def write(self, secrets: Mapping[str, bytes]) -> None:
        """Replace the kept secrets, given by name, 32 bytes each; nothing is written when they are the same."""
        if self.read() == secrets:
            return
        value = {"database": str(self._database_id)} | {
            name: b64encode(secret).decode("ascii") for name, secret in secrets.items()
        }
        content = json.dumps(value).encode()
        make_directory(self._path.parent)
        if not publish(self._path, content, scratch=self._path.parent):
            with suppress(FileNotFoundError):
                replace(self._path, content, scratch=self._path.parent)
