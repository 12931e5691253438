"""Errors of the files of calls."""

from service.errors import OperatorError, RequestError, ServiceError


class ColdTierError(OperatorError):
    """the cold tier cannot do this"""


class ColdFileError(ServiceError):
    """a file of the cold tier cannot be read"""


class PyarrowMissingError(ColdTierError):
    """files of the cold tier need pyarrow, which is not here: `pip install 'calledger[parquet]'`"""


class TooManyRowsError(RequestError):
    """too many calls of the cold tier would have to be looked at: name an account, or a shorter time"""
