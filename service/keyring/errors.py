"""Errors of the keyring.

OperatorError
└── KeyringError            the keyring cannot be used as it is set up
    ├── KeyringAddressError    its address is of no known kind: the setting is wrong
    ├── KeyringMissingError    no keyring is there, and none may be made
    ├── KeyringForeignError    it belongs to another database
    │   └── KeyringReplacedError    it belonged to this one, which has begun another since
    ├── KeyringNewerError      a later version of this program has changed its format
    ├── KeyringDamagedError    its own files do not fit together
    ├── KeyringExposedError    others than its owner can read it
    ├── KeyringSameClusterError    it is in the PostgreSQL that holds what its keys seal
    └── KekError               the key-encryption key is absent, unfit, or another one
        ├── KekWrongError          it can be used, and is not the one that the keyring was made with
        └── KekAddressError        its address is of no known kind: the setting is wrong
ServiceError
├── KeyringUnavailableError    it cannot be reached now; try again
└── KeyGoneError               one key cannot be had; nothing sealed with it opens
    ├── KeyDestroyedError         destroyed on purpose; it is never made again
    └── KeyLostError              neither here nor destroyed by us
        └── KeyDamagedError          its entry is here, but is not what was written
"""

from service.errors import OperatorError, ServiceError


class KeyringError(OperatorError):
    """the keyring cannot be used as it is set up"""


class KeyringAddressError(KeyringError):
    """a keyring is named as `file:DIR`, or as `postgres:URL` in another PostgreSQL than the calls'"""


class KeyringMissingError(KeyringError):
    """no keyring is there: name the right one with CALLEDGER_KEYRING, or restore its backup"""


class KeyringForeignError(KeyringError):
    """the keyring belongs to another database"""


class KeyringReplacedError(KeyringForeignError):
    """the keyring is not the one that this ledger works with now"""


class KeyringNewerError(KeyringError):
    """the keyring has the format of a newer calledger"""


class KeyringDamagedError(KeyringError):
    """the files of the keyring do not fit together: restore it from its backup"""


class KeyringExposedError(KeyringError):
    """others than its owner can read the keyring"""


class KeyringSameClusterError(KeyringError):
    """the keyring is in the same PostgreSQL as the calls: a destroyed key would live on beside what it sealed"""


class KekError(KeyringError):
    """the key-encryption key does not open this keyring: is it the one that the keyring was made with?"""


class KekWrongError(KekError):
    """the key-encryption key is another one than the keyring was made with"""


class KekAddressError(KekError):
    """the address of the key-encryption key is of no known kind"""


class KeyringUnavailableError(ServiceError):
    """the keyring cannot be reached now; try again"""


class KeyGoneError(ServiceError):
    """a key cannot be had, and nothing that was sealed with it opens"""


class KeyDestroyedError(KeyGoneError):
    """the key was destroyed on purpose and is never made again"""


class KeyLostError(KeyGoneError):
    """the key is neither in the keyring nor among those that were destroyed"""


class KeyDamagedError(KeyLostError):
    """the key's file is not what was written: restore it from the keyring's backup"""
