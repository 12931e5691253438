"""Where data keys live: outside the database, wrapped, and destroyed for good when their time has come."""

from service.keyring.disk import path_of_url
from service.keyring.errors import (
    KekError,
    KeyDamagedError,
    KeyDestroyedError,
    KeyGoneError,
    KeyLostError,
    KeyringDamagedError,
    KeyringError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringUnavailableError,
)
from service.keyring.file import open_file_keyring
from service.keyring.kek import Kek, create_kek_file
from service.keyring.names import AccountKeyName, HoldKeyName, KeyName, PeriodKeyName, parse_name
from service.keyring.protocol import SECRETS, KeyCounts, Keyring, KeyringCounts

__all__ = [
    "SECRETS",
    "AccountKeyName",
    "HoldKeyName",
    "Kek",
    "KekError",
    "KeyCounts",
    "KeyDamagedError",
    "KeyDestroyedError",
    "KeyGoneError",
    "KeyLostError",
    "KeyName",
    "Keyring",
    "KeyringCounts",
    "KeyringDamagedError",
    "KeyringError",
    "KeyringExposedError",
    "KeyringForeignError",
    "KeyringMissingError",
    "KeyringUnavailableError",
    "PeriodKeyName",
    "create_kek_file",
    "open_keyring",
    "parse_name",
]


async def open_keyring(url: str, kek: str, *, create: bool) -> Keyring:
    """The keyring at `url` (`file:DIR`), its keys wrapped by the key-encryption key at `kek` (`file:PATH`).

    A keyring that is not there raises `KeyringMissingError` unless `create`; nothing is ever made silently. Call `bind`
    before the first key is used.
    """
    root = path_of_url(url)
    if root is None:
        raise KeyringError("a keyring is named as `file:DIR`")
    return await open_file_keyring(root, kek, create=create)
