"""Answers of `/graphql` that are no results: media types, refusals with their codes, and bodies read within bounds."""

from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE
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


class PostAnswer(web.Response):
    """The answer to a POST, with its whole body.

    To a client that keeps its connection, head and body go in one step. aiohttp takes a dozen, for answers of every
    kind; docs/performance.md says what that is of a page.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it, or leave it to aiohttp."""
        body, writer = self._body, request._payload_writer
        usual = self._status == 200 and self._keep_alive is None and request.keep_alive
        if not usual or self.prepared or not isinstance(body, bytes) or request.version != HttpVersion11:
            return await super().prepare(request)
        headers = self._headers
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        headers[hdrs.DATE] = rfc822_formatted_time()
        headers[hdrs.SERVER] = SERVER_SOFTWARE
        await request._prepare_hook(self)
        await writer.write_headers("HTTP/1.1 200 OK", headers)
        await writer.write_eof(body)
        self._keep_alive = self._eof_sent = True
        return writer


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
