"""The endpoint of subscriptions: authenticates a request before it is upgraded to a stream."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from service.api.answers import AGAIN, JSON, REFUSALS, error_answer, refused_by
from service.api.execution.errors import Code
from service.api.execution.limits import decoded
from service.api.execution.trusted_documents import TrustedDocuments
from service.api.schema import CalledgerSchema
from service.api.subscriptions.event_stream import EventStream
from service.api.subscriptions.operation import Asked
from service.api.subscriptions.streams import Authenticate, Streams
from service.api.subscriptions.websocket import PROTOCOL, Socket
from service.query.model.errors import BadInputError

_TOO_MANY: Final = "the API key has too many connections that listen"


class StreamEndpoint:
    """Opens streams for requests that ask for one."""

    def __init__(
        self, schema: CalledgerSchema, streams: Streams, authenticate: Authenticate, trusted: TrustedDocuments
    ) -> None:
        self._schema, self._streams, self._authenticate, self._trusted = schema, streams, authenticate, trusted

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket, or why there is none: nothing is switched to before that is clear."""
        refusal, header = self._streams.refusal(), request.headers.get(hdrs.AUTHORIZATION)
        try:
            if refusal is not None:
                response = error_answer(503, Code.UNAVAILABLE, refusal, JSON, AGAIN)
            elif not _speaks(request):
                response = error_answer(400, Code.BAD_USER_INPUT, f"the subprotocol is `{PROTOCOL}`", JSON)
            else:
                known = await self._authenticate(header) if header is not None else None
                with self._streams.opened():
                    socket = Socket(self._schema, self._streams, self._authenticate, self._trusted, known)
                    return await socket.serve(request)
        except REFUSALS as error:
            response = refused_by(error, JSON)
        # What a client sends after its handshake would be read as a request.
        response.force_close()
        return response

    async def event_stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, or why there are none."""
        refusal = self._streams.refusal()
        if refusal is not None:
            return error_answer(503, Code.UNAVAILABLE, refusal, JSON, AGAIN)
        known = await self._authenticate(request.headers.get(hdrs.AUTHORIZATION))
        value = decoded(await request.read()) if request.method == "POST" else _of_query(request.query)
        asked = Asked.of(value, self._trusted)
        stream = EventStream(self._streams, known)
        if not self._streams.add(stream):
            return error_answer(429, Code.THROTTLED, _TOO_MANY, JSON, AGAIN)
        try:
            with self._streams.opened():
                return await stream.serve(request, self._schema, asked, read_only=request.method == "GET")
        finally:
            self._streams.remove(stream)


def _speaks(request: web.Request) -> bool:
    """Whether it is a handshake of the one subprotocol that there is."""
    return web.WebSocketResponse(protocols=(PROTOCOL,)).can_prepare(request).protocol == PROTOCOL


def _of_query(query: Mapping[str, str]) -> dict[str, Any]:
    """The operation of a GET. Raises BadInputError."""
    given: dict[str, Any] = {name: query.get(name) for name in ("query", "operationName", "documentId")}
    for name in ("variables", "extensions"):
        try:
            given[name] = decoded(query[name]) if query.get(name) else None
        except orjson.JSONDecodeError:
            raise BadInputError(f"`{name}` are a JSON object") from None
    return given
