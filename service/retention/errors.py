"""Errors of the retention room.

OperatorError
├── PurgeClockError    a clock cannot be trusted: nothing is destroyed by it
└── PurgePlanError     what would be destroyed is not what was asked for
ServiceError
└── PurgeFailedError   a purge is not what its record says, or did not do what it should
"""

from service.errors import OperatorError, ServiceError


class PurgeClockError(OperatorError):
    """the clock cannot be trusted, and nothing is purged by it"""


class PurgePlanError(OperatorError):
    """the plan has changed since: look at the new one with `calledger purge --dry-run`"""


class PurgeFailedError(ServiceError):
    """the purge did not do what it should have done"""
