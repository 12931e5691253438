"""Errors of the ledger."""

from service.errors import OperatorError, RequestError


class LedgerSignerError(OperatorError):
    """the keyring does not have this ledger's signer: restore its keyring or, beside an older database, its mirror"""


class LedgerMirrorError(OperatorError):
    """the mirror of the ledger cannot be used"""


class LedgerDamagedError(OperatorError):
    """the ledger in the database is not whole: restore the database from a backup, and start again"""


class LedgerRangeError(RequestError):
    """the ledger has no such entry or size"""
