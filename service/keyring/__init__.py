"""Data keys: stored outside the database, wrapped, and destroyed for good when their time has come."""

from service.keyring.errors import (
    KekError,
    KekWrongError,
    KeyDamagedError,
    KeyDestroyedError,
    KeyGoneError,
    KeyLostError,
    KeyringDamagedError,
    KeyringError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringNewerError,
    KeyringReplacedError,
    KeyringSameClusterError,
    KeyringUnavailableError,
)
from service.keyring.factory import create_replacement, open_keyring
from service.keyring.kek.file import create_kek_file
from service.keyring.names import AccountKeyName, ErasureKeyName, HoldKeyName, KeyName, PeriodKeyName, parse_name
from service.keyring.protocol import SECRETS, KeyCounts, Keyring

__all__ = [
    "SECRETS",
    "AccountKeyName",
    "ErasureKeyName",
    "HoldKeyName",
    "KekError",
    "KekWrongError",
    "KeyCounts",
    "KeyDamagedError",
    "KeyDestroyedError",
    "KeyGoneError",
    "KeyLostError",
    "KeyName",
    "Keyring",
    "KeyringDamagedError",
    "KeyringError",
    "KeyringExposedError",
    "KeyringForeignError",
    "KeyringMissingError",
    "KeyringNewerError",
    "KeyringReplacedError",
    "KeyringSameClusterError",
    "KeyringUnavailableError",
    "PeriodKeyName",
    "create_kek_file",
    "create_replacement",
    "open_keyring",
    "parse_name",
]
