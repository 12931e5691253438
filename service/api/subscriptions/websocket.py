"""graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md), on one WebSocket.

Who asks is said by the `Authorization` header, or, by browsers, which cannot set one, in the payload of
`connection_init`. Until then nothing is answered. Every message is bounded and checked before it is looked at.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from aiohttp import ClientConnectionResetError, WSMsgType, web
from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult

from policies.policy.model import Policy
from service.access.authenticate import UnauthenticatedError
from service.api.execution.context import Context
from service.api.execution.errors import Code
from service.api.execution.limits import check_body
from service.api.execution.trusted_documents import DocumentRefusedError, TrustedDocuments
from service.api.schema import CalledgerSchema
from service.api.subscriptions.operation import Asked, begun, body, coded, error_of
from service.api.subscriptions.outbox import SEND_S, Outbox
from service.api.subscriptions.streams import ENDED, PER_CONNECTION, TOO_SLOW, Authenticate, Ending, Known, Streams
from service.log_redaction import guarded
from service.logs import get_logger
from service.query.model.errors import BadInputError

PROTOCOL: Final = "graphql-transport-ws"
MESSAGE_BYTES_MAX: Final = 2**18
INIT_S: Final = 10.0
PING_S: Final = 20.0
_CLOSE_S: Final = 2.0
_ID_MAX: Final = 100
_GONE: Final = (ConnectionError, TimeoutError, ClientConnectionResetError)

log = get_logger()


class _CloseError(Exception):
    """The connection has to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """One WebSocket. `known`: who it is, if the header said so."""

    known: Known
    policy: Policy

    def __init__(
        self,
        schema: CalledgerSchema,
        streams: Streams,
        authenticate: Authenticate,
        trusted: TrustedDocuments,
        known: Known | None,
    ) -> None:
        self._schema, self._streams, self._authenticate, self._known = schema, streams, authenticate, known
        self._trusted = trusted
        self._ws = web.WebSocketResponse(
            protocols=(PROTOCOL,), heartbeat=PING_S, max_msg_size=MESSAGE_BYTES_MAX, compress=False, timeout=_CLOSE_S
        )
        self._outbox = Outbox(self._ws.send_str)
        self._operations: dict[str, _StartedOperation] = {}
        self._acknowledged = False
        self._closing: _CloseError | None = None
        self._reader: asyncio.Task[None] | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk until one side ends it."""
        await self._ws.prepare(request)
        sender = asyncio.create_task(self._send(request))
        self._reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({self._reader})
            for id_ in list(self._operations):
                self._leave(id_)
            self._outbox.close()
            await asyncio.wait({sender}, timeout=SEND_S)
            closing = self._closing or _CloseError(1000, "")
            with suppress(*_GONE):
                await self._ws.close(code=closing.code, message=closing.reason.encode())
        finally:
            self._streams.remove(self)
            for id_ in list(self._operations):
                self._leave(id_)
            for task in (self._reader, sender):
                task.cancel()
            await asyncio.gather(self._reader, sender, return_exceptions=True)
        return self._ws

    def end(self, ending: Ending) -> None:
        """End it soon. Operations hear why, unless the client is to connect again: an error would keep it from that."""
        if self._closing is None:
            ENDED.labels(ending.name).inc()
            for id_ in [] if ending.passes else list(self._operations):
                self._finish(id_, [ending.error])
            self._close(_CloseError(ending.close_code, ending.message))

    def _close(self, closing: _CloseError) -> None:
        self._closing = self._closing or closing
        if self._reader is not None:
            self._reader.cancel()

    async def _send(self, request: web.Request) -> None:
        try:
            await self._outbox.run()
        except (*_GONE, RuntimeError):  # RuntimeError: it is closing already
            # Nothing can be said any more to a reader that takes nothing.
            if request.transport is not None:
                request.transport.abort()
            self._close(_CloseError(1006, ""))

    # Reading ---------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(INIT_S):
                while not self._acknowledged:
                    await self._handle(await self._message())
        except TimeoutError:
            self._closing = _CloseError(4408, "Connection initialisation timeout")
            return
        except _CloseError as closing:
            self._closing = closing
            return
        try:
            while True:
                await self._handle(await self._message())
        except _CloseError as closing:
            self._closing = closing

    async def _message(self) -> Mapping[str, Any]:
        message = await self._ws.receive()
        if message.type is not WSMsgType.TEXT:
            binary = message.type is WSMsgType.BINARY
            raise _CloseError(4400, "messages are JSON texts") if binary else _CloseError(1000, "")
        try:
            check_body(message.data)
            value = orjson.loads(message.data)
        except (BadInputError, orjson.JSONDecodeError):
            raise _CloseError(4400, "the message is no JSON, or too large") from None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise _CloseError(4400, "a message is an object with a `type`")
        return value

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._begin(message.get("payload"))
            case "ping":
                self._say({"type": "pong"})
            case "pong":
                pass
            case "subscribe" if self._acknowledged:
                self._subscribe(message)
            case "subscribe":
                raise _CloseError(4401, "Unauthorized")
            case "complete":
                self._leave(self._id_of(message))
            case _:
                raise _CloseError(4400, "the message is of no type that clients send")

    async def _begin(self, payload: object) -> None:
        if self._acknowledged:
            raise _CloseError(4429, "Too many initialisation requests")
        if not isinstance(payload, dict | None):
            raise _CloseError(4400, "the payload of `connection_init` is an object")
        given = {name.lower(): value for name, value in (payload or {}).items() if isinstance(value, str)}
        try:
            known = self._known or await self._authenticate(given.get("authorization"))
        except UnauthenticatedError:
            raise _CloseError(4403, "Forbidden") from None
        self.known = self._known = known
        self.policy = known.context().scope.policy
        if not self._streams.add(self):
            raise _CloseError(4429, "the API key has too many connections that listen")
        self._acknowledged = True
        self._say({"type": "connection_ack"})

    def _id_of(self, message: Mapping[str, Any]) -> str:
        id_ = message.get("id")
        if not isinstance(id_, str) or not 0 < len(id_) <= _ID_MAX:
            raise _CloseError(4400, f"an `id` is a text of 1 to {_ID_MAX} characters")
        return id_

    def _subscribe(self, message: Mapping[str, Any]) -> None:
        id_ = self._id_of(message)
        if id_ in self._operations:
            raise _CloseError(4409, f"Subscriber for {id_} already exists")
        try:
            asked = Asked.of(message.get("payload"), self._trusted)
        except DocumentRefusedError as error:
            self._say({"id": id_, "type": "error", "payload": [error_of(error.code, guarded(str(error))).formatted]})
            return
        except BadInputError as error:
            raise _CloseError(4400, str(error)) from None
        if len(self._operations) >= PER_CONNECTION:
            text = f"a connection has at most {PER_CONNECTION} operations under way"
            self._say({"id": id_, "type": "error", "payload": [error_of(Code.THROTTLED, text).formatted]})
            return
        assert self._known is not None
        self._operations[id_] = _StartedOperation(self, id_, asked, self._known.context())

    def _leave(self, id_: str) -> None:
        operation = self._operations.pop(id_, None)
        if operation is not None:
            operation.leave()

    # Sending ---------------------------------------------------------------------------------------------------------

    def _say(self, message: Mapping[str, Any]) -> None:
        self.say(orjson.dumps(message).decode())

    def say(self, message: str) -> None:
        """Send a message; for a reader that is too slow its operations are ended instead."""
        if not self._outbox.offer(message):
            ENDED.labels(TOO_SLOW.name).inc()
            ended = list(self._operations)
            for id_ in ended:
                self._leave(id_)
            errors = [TOO_SLOW.error.formatted]
            self._outbox.instead([_text({"id": id_, "type": "error", "payload": errors}) for id_ in ended])
            self._close(_CloseError(TOO_SLOW.close_code, TOO_SLOW.message))

    def finish(self, id_: str, errors: list[GraphQLError] | None) -> None:
        """Say that an operation has ended, unless its client has ended it."""
        if id_ in self._operations:
            self._finish(id_, errors)

    def _finish(self, id_: str, errors: list[GraphQLError] | None) -> None:
        self._leave(id_)
        if errors:
            self._say({"id": id_, "type": "error", "payload": [error.formatted for error in errors]})
        else:
            self._say({"id": id_, "type": "complete"})

    async def answer(self, asked: Asked, context: Context, operation: "_StartedOperation") -> None:
        """Answer one operation, or have it listen."""
        try:
            outcome = await begun(self._schema, asked, context)
        except Exception as error:
            outcome = coded(ExecutionResult(None, [GraphQLError(str(error), original_error=error)]))
        if not isinstance(outcome, ExecutionResult):
            operation.leave_stream = self._streams.join(outcome, context, operation)
        elif outcome.data is None and outcome.errors:
            self.finish(operation.id, outcome.errors)
        else:
            operation.next(body(outcome))
            self.finish(operation.id, None)


class _StartedOperation:
    """One operation of a socket, until it is answered, has ended or was left."""

    def __init__(self, socket: Socket, id_: str, asked: Asked, context: Context) -> None:
        self.id = id_
        self.leave_stream: Callable[[], None] | None = None
        self._socket = socket
        self._head = f'{{"id":{orjson.dumps(id_).decode()},"type":"next","payload":'
        self._task = asyncio.create_task(socket.answer(asked, context, self))

    def next(self, payload: str) -> None:
        """Send one result."""
        self._socket.say(f"{self._head}{payload}}}")

    def finish(self, errors: list[GraphQLError] | None) -> None:
        """Say that the stream has ended."""
        self._socket.finish(self.id, errors)

    def leave(self) -> None:
        """Listen no more."""
        if self.leave_stream is not None:
            self.leave_stream()
        elif self._task is not asyncio.current_task():
            self._task.cancel()


def _text(message: Mapping[str, Any]) -> str:
    return orjson.dumps(message).decode()
