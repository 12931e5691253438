"""Status and code of what keeps a request of reports from being taken, by its error."""

from collections.abc import Sequence
from typing import Final

from service.access.authenticate import ForbiddenError, UnauthenticatedError
from service.errors import CalledgerError, ServiceError
from service.ingest.errors import BodyError, BodyTooLargeError, EncodingError, QueueFullError

RETRY_AFTER_S: Final = 2

# The first class that fits counts.
_STATUSES: Final[Sequence[tuple[type[CalledgerError], int, str]]] = (
    (BodyTooLargeError, 413, "body_too_large"),
    (EncodingError, 415, "encoding_not_supported"),
    (BodyError, 400, "body_unreadable"),
    (UnauthenticatedError, 401, "unauthenticated"),
    (ForbiddenError, 403, "forbidden"),
    (QueueFullError, 503, "queue_full"),
    (ServiceError, 503, "unavailable"),
)


def status_of(error: CalledgerError) -> tuple[int, str]:
    """HTTP status and code of a refusal."""
    return next((status, code) for kind, status, code in _STATUSES if isinstance(error, kind))


def headers_of(status: int) -> dict[str, str]:
    """What goes with a status: how to sign in, or when to try again."""
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="calledger"'}
    return {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
