"""Errors of retention.

OperatorError
├── PurgeClockError    a clock cannot be trusted: nothing is destroyed by it
└── PurgePlanError     what would be destroyed is not what was asked for
RequestError
├── HoldError          a legal hold cannot be placed or lifted as asked
├── ErasureError       an erasure cannot be carried out as asked
└── TierError          an account cannot move as asked
ServiceError
├── PurgeFailedError   a purge is not what its record says, or did not do what it should
└── HeldCopyError      the copy of a held row does not open
"""

from service.errors import OperatorError, RequestError, ServiceError


class PurgeClockError(OperatorError):
    """the clock cannot be trusted, and nothing is purged by it"""


class PurgePlanError(OperatorError):
    """the plan has changed since: look at the new one with `calledger purge --dry-run`"""


class PurgeFailedError(ServiceError):
    """the purge did not do what it should have done"""


class HeldCopyError(ServiceError):
    """the copy of a held row does not open"""


class HoldError(RequestError):
    """the hold cannot be placed or lifted"""


class ErasureError(RequestError):
    """the erasure cannot be carried out"""


class TierError(RequestError):
    """the account cannot move to that tier"""
