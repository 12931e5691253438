"""Errors of the service, by whose fault they are.

CalledgerError
├── OperatorError   the installation is wrong: settings, files, database, keys
├── RequestError    the caller is wrong: body, key, filter
└── ServiceError    the service is wrong, or something that it needs is unavailable

A class's docstring is its default message. Messages are lower case, quote input in back-ticks and say what to do.
They never carry secrets, content or SQL.
"""


class CalledgerError(Exception):
    """something went wrong"""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or "")


class OperatorError(CalledgerError):
    """the installation cannot work as it is set up"""


class RequestError(CalledgerError):
    """the request cannot be answered as it stands"""


class ServiceError(CalledgerError):
    """the service could not do its work; try again"""
