"""Errors of the storage room."""

from service.errors import OperatorError, ServiceError


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
