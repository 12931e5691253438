"""Errors of the ledger."""

from service.errors import OperatorError, RequestError


class LedgerSignerError(OperatorError):
    """the keyring's signer is not the one that signs this ledger: restore the keyring that belongs to it or, beside an
    older database, the ledger's mirror"""


class LedgerMirrorError(OperatorError):
    """the mirror of the ledger cannot be used"""


class LedgerDamagedError(OperatorError):
    """the ledger in the database is not whole: restore the database from a backup, and start again"""


class LedgerRangeError(RequestError):
    """the ledger has no such entry or size"""
