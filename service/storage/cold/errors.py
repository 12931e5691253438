"""Errors of the files of calls."""

from typing import Final

from service.errors import OperatorError, RequestError, ServiceError

LOGGED: Final = (
    "the database writes parameters of statements into its log, and calls of the cold tier would get there: nothing is "
    "answered of their time until `log_parameter_max_length` is 0, or statements are not logged"
)


class ColdTierError(OperatorError):
    """the cold tier cannot do this"""


class ColdFileError(ServiceError):
    """a file of the cold tier cannot be read"""


class PyarrowMissingError(ColdTierError):
    """files of the cold tier need pyarrow, which is not here: `pip install 'calledger[parquet]'`"""


class TooManyRowsError(RequestError):
    """too many calls of the cold tier would have to be looked at: name an account, or a shorter time"""


def reason_of(error: OSError) -> str:
    """Why a file cannot be read or written, for a message."""
    return (error.strerror or "no reason given").lower()
