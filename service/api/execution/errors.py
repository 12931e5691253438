"""The closed list of error codes, and how any exception becomes one of them.

Every error of an answer has `extensions.code`, and its message has passed the redactor: it may quote what was sent.
What is not the caller's doing is masked as INTERNAL; under the request's id the log has the error's type and place, and
nothing of the query.
"""

import re
import traceback
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

import asyncpg
from graphql import GraphQLError, GraphQLSyntaxError, Node
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.execution import ExecutionResult

from policies.errors import PolicyError
from service.access.authenticate import ForbiddenError, UnauthenticatedError
from service.errors import RequestError, ServiceError
from service.log_redaction import guarded
from service.logs import get_logger
from service.query.model.errors import CursorExpiredError, OutOfRetentionError, QueryTimeoutError, SlowReaderError
from service.storage.control.exports import ExportBusyError
from service.storage.errors import is_unavailable

log = get_logger()


class Code(StrEnum):
    """`extensions.code`."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    THROTTLED = "THROTTLED"
    MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"
    QUERY_TOO_DEEP = "QUERY_TOO_DEEP"
    OUT_OF_RETENTION = "OUT_OF_RETENTION"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    SLOW_READER = "SLOW_READER"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    ALREADY_DONE = "ALREADY_DONE"
    TIMEOUT = "TIMEOUT"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


_CODES: Final[tuple[tuple[type[Exception], Code], ...]] = (
    (CursorExpiredError, Code.CURSOR_EXPIRED),
    (SlowReaderError, Code.SLOW_READER),
    (OutOfRetentionError, Code.OUT_OF_RETENTION),
    (QueryTimeoutError, Code.TIMEOUT),
    (ExportBusyError, Code.THROTTLED),
    (asyncpg.QueryCanceledError, Code.TIMEOUT),
    (ForbiddenError, Code.FORBIDDEN),
    (UnauthenticatedError, Code.UNAUTHENTICATED),
    (RequestError, Code.BAD_USER_INPUT),
    (StrawberryInputCoercionError, Code.BAD_USER_INPUT),
    (ServiceError, Code.UNAVAILABLE),
)
AWAY: Final = "the database does not answer, or cannot be written; try again"
NULL_INPUT: Final = "nothing equals null: leave `eq` or `ne` out, or use `isNull`"
"""Said where `eq` or `ne` is null: refused before anything is run."""
# graphql-core tells a wrong value from a wrong document by its words only.
_VALUE: Final = re.compile(
    r"Expected value of |Variable '\$\w+' (has invalid value|of required|of non-null)|OneOf Input Object|"
    r"Value '.*' does not exist in|Argument '.*' (of|has)|Int cannot",
    re.DOTALL,
)


def refused(code: Code, message: str, nodes: Collection[Node] | Node | None = None) -> GraphQLError:
    """An error of ours, before anything is executed."""
    return GraphQLError(message, nodes=nodes, extensions={"code": code.value})


def coded(error: GraphQLError, request_id: str | None) -> GraphQLError:
    """The same error with its code and the request's id, and with nothing in it that the caller may not know.

    `request_id` None: outside of a request; then only an error that the log has gets an id.
    """
    extensions = error.extensions or {}
    request = {} if request_id is None else {"requestId": request_id}
    if extensions.get("code") in Code.__members__:
        return _rebuilt(error, guarded(error.message), {**extensions, **request})
    code = code_of(error)
    if code is Code.INTERNAL:
        return _masked(error, request_id or str(uuid4()))
    message = _away(error) if code is Code.UNAVAILABLE else _message(error)
    return _rebuilt(error, message, {"code": code.value, **request})


def code_of(error: GraphQLError) -> Code:
    """The code that tells whose doing the error is; INTERNAL for whatever is not known to be the caller's."""
    if isinstance(error, GraphQLSyntaxError):
        return Code.GRAPHQL_PARSE_FAILED
    original = error if isinstance(error, StrawberryInputCoercionError) else error.original_error
    for type_, code in _CODES:
        if isinstance(original, type_):
            return code
    if is_unavailable(original):
        return Code.UNAVAILABLE
    if error.path is None and (original is None or isinstance(original, GraphQLError | ValueError)):
        return Code.BAD_USER_INPUT if _VALUE.match(error.message) else Code.GRAPHQL_VALIDATION_FAILED
    if original is None and error.path is not None and _VALUE.match(error.message):
        return Code.BAD_USER_INPUT
    return Code.INTERNAL


def _message(error: GraphQLError) -> str:
    if "explicitly set to null" in error.message:
        return NULL_INPUT
    return guarded(error.message)


def _away(error: GraphQLError) -> str:
    original = error.original_error
    log.error("a field could not be answered", type=type(original).__name__)
    return guarded(str(original)) if isinstance(original, ServiceError) else AWAY


def _masked(error: GraphQLError, request_id: str) -> GraphQLError:
    original = error.original_error or error
    # The location and the type, never the message: it may quote what the caller sent or what the database holds.
    frames = traceback.extract_tb(original.__traceback__)[-6:]
    log.error(
        "a field failed",
        request_id=request_id,
        type=type(original).__name__,
        policy=isinstance(original, PolicyError),
        at=[f"{frame.filename.rsplit('/', 3)[-1]}:{frame.lineno}" for frame in frames],
    )
    message = "something went wrong here; the log says what, under the request id"
    return _rebuilt(error, message, {"code": Code.INTERNAL.value, "requestId": request_id})


def _rebuilt(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def code_errors(result: ExecutionResult, request_id: str | None) -> None:
    """Give every error of an answer its code and the request's id, in the order of the root fields."""
    result.errors = [coded(error, request_id) for error in _in_order(result.errors or [], result.data)]


def _in_order(errors: list[GraphQLError], data: Mapping[str, Any] | None) -> list[GraphQLError]:
    """Errors in the order of the root fields that they belong to, whichever of these failed first."""
    if len(errors) == 1 or not data:
        return errors
    positions = {key: position for position, key in enumerate(data)}
    return sorted(errors, key=lambda error: positions.get(str(error.path[0]) if error.path else "", -1))
