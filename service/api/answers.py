"""Answers of `/graphql` that are no results: media types, refusals with their codes, and bodies read within bounds."""

from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import web
from cross_web import HTTPException

from service.access.authenticate import UnauthenticatedError
from service.api.execution.errors import Code
from service.api.execution.limits import BODY_BYTES_MAX
from service.api.execution.trusted_documents import DocumentRefusedError
from service.errors import ServiceError
from service.log_redaction import guarded
from service.logs import get_logger
from service.query.model.errors import BadInputError
from service.request_ids import REQUEST_ID

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
EVENTS: Final = "text/event-stream"
AGAIN: Final = {"Retry-After": "2"}
"""With a 503: when to ask again, in seconds."""
REFUSALS: Final = (
    *(UnauthenticatedError, web.HTTPRequestEntityTooLarge, HTTPException),
    *(BadInputError, DocumentRefusedError, ServiceError),
)

log = get_logger()


def refused_by(error: Exception, media_type: str) -> web.Response:
    """The answer to a request that was given up before there was a result; JSON for who asked for events."""
    well_formed = media_type == JSON  # what these clients take for an answer; others go by the status
    media_type = JSON if media_type == EVENTS else media_type
    if isinstance(error, ServiceError):
        log.error("a request could not be answered", type=type(error).__name__)
        return error_answer(503, Code.UNAVAILABLE, str(error), media_type, AGAIN)
    if isinstance(error, UnauthenticatedError):
        headers = {"WWW-Authenticate": 'Bearer realm="calledger"'}
        return error_answer(401, Code.UNAUTHENTICATED, str(error), media_type, headers)
    if isinstance(error, DocumentRefusedError):
        status = 403 if error.code is Code.FORBIDDEN else 400
        return error_answer(200 if well_formed else status, error.code, guarded(str(error)), media_type)
    if isinstance(error, BadInputError):
        return error_answer(400, Code.BAD_USER_INPUT, str(error), media_type)
    if isinstance(error, HTTPException):
        reason = guarded(error.reason[:1].lower() + error.reason[1:].rstrip("."))
        headers = {"Allow": "POST"} if "not allowed when using GET" in error.reason else None
        return error_answer(405 if headers else error.status_code, Code.BAD_USER_INPUT, reason, media_type, headers)
    return error_answer(413, Code.BAD_USER_INPUT, f"a request has at most {BODY_BYTES_MAX} bytes", media_type)


def error_answer(
    status: int, code: Code, message: str, media_type: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal as a whole: one error with its code, and no data."""
    extensions = {"code": code.value}
    request_id = REQUEST_ID.get()
    if request_id is not None:
        extensions["requestId"] = request_id
    body = orjson.dumps({"errors": [{"message": message, "extensions": extensions}]})
    return web.Response(body=body, status=status, content_type=media_type, charset="utf-8", headers=headers)
