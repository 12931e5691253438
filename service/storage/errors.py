"""Errors of the storage room."""

from typing import Final

import asyncpg
from tortoise.exceptions import BaseORMException

from service.errors import OperatorError, ServiceError

_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
_NOT_AWAY: Final = (asyncpg.DataError, asyncpg.QueryCanceledError)


def is_away(error: BaseException | None) -> bool:
    """Whether an error says that the database does not answer, or cannot be written: disk full, or read-only."""
    if isinstance(error, BaseORMException):
        error = error.__cause__
    return isinstance(error, _AWAY) and not isinstance(error, _NOT_AWAY)


class DatabaseError(OperatorError):
    """the database cannot be used as it is"""


class DatabaseAwayError(ServiceError):
    """the database does not answer; try again"""


class EmbeddedDatabaseError(DatabaseError):
    """the embedded PostgreSQL cannot run here"""


class EmbeddedDatabaseBusyError(EmbeddedDatabaseError):
    """the embedded PostgreSQL is run by another process"""


class PartitionsBusyError(DatabaseAwayError):
    """a partition could not be made or detached while others use the table; try again"""
