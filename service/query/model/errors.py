"""Errors of reading.

RequestError
├── BadInputError        a filter, order, cursor or page size that cannot be used
├── CursorExpiredError   what the cursor would go on with is gone
├── SlowReaderError      a stream has more to give than is taken
├── OutOfRetentionError  the answer would need what has been purged
└── ForbiddenError       (access) the role may not see, filter or ask this
ServiceError
└── QueryTimeoutError    the statement took longer than the operator allows
"""

from service.access.authenticate import ForbiddenError
from service.errors import RequestError, ServiceError

__all__ = [
    "BadInputError",
    "CursorExpiredError",
    "ForbiddenError",
    "OutOfRetentionError",
    "QueryTimeoutError",
    "SlowReaderError",
]


class BadInputError(RequestError):
    """the query's input cannot be used"""


class CursorExpiredError(RequestError):
    """what the cursor would go on with is gone"""


class SlowReaderError(RequestError):
    """a stream has more to give than is taken"""


class OutOfRetentionError(RequestError):
    """the answer would need calls that have been purged"""


class QueryTimeoutError(ServiceError):
    """the query took too long; narrow its time range or its filter"""
