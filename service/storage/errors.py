"""Errors of the database, and which of the driver's errors mean that it is unavailable."""

from typing import Final

import asyncpg
from tortoise.exceptions import BaseORMException

from service.errors import OperatorError, ServiceError

_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,  # a replica replays what removes rows that the statement still reads
)
_STATEMENT_ERRORS: Final = (asyncpg.DataError, asyncpg.QueryCanceledError)


def is_unavailable(error: BaseException | None) -> bool:
    """Whether an error says that the database does not answer, or cannot be written (disk full, read-only)."""
    if isinstance(error, BaseORMException):
        error = error.__cause__
    return isinstance(error, _UNAVAILABLE) and not isinstance(error, _STATEMENT_ERRORS)


class DatabaseError(OperatorError):
    """the database cannot be used as it is"""


class DatabaseUnavailableError(ServiceError):
    """the database does not answer; try again"""


class EmbeddedDatabaseError(DatabaseError):
    """the embedded PostgreSQL cannot run here"""


class EmbeddedDatabaseBusyError(EmbeddedDatabaseError):
    """the embedded PostgreSQL is run by another process"""


class CommitInDoubtError(DatabaseUnavailableError):
    """a commit is in doubt, because a node of the cluster does not answer; try again"""


class PartitionsBusyError(DatabaseUnavailableError):
    """a partition could not be made or detached while others use the table; try again"""
