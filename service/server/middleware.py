"""What every request passes before and after aiohttp's dispatcher."""

import asyncio
import atexit
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any, Final

import orjson
from aiohttp import ClientConnectionResetError, ClientPayloadError, HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.http_exceptions import HttpProcessingError

from service.content_coding import COMPRESSED_MIN_BYTES, compress
from service.entity_tags import leave_out_known
from service.logs import NOT_WRITTEN, OUTPUT, get_logger
from service.request_ids import HEADER, REQUEST_ID, error_body, may_be_repeated
from service.server.cors import Cors

Handler = Callable[[Any], Awaitable[web.StreamResponse]]  # aiohttp says `BaseRequest` of what it gives as a `Request`
log = get_logger()

HUNG_UP: Final = 499
"""The status in the log of a request whose client did not wait for its answer: no mistake of ours, as nginx has it."""

_CUT_OFF: Final = (ConnectionError, web.RequestPayloadError, ClientPayloadError, HttpProcessingError)
_STOP_TIMEOUT_S: Final = 20.0
_FLUSH_S: Final = 0.05


class Request(web.Request):
    """A request whose answer gets its headers whoever sends it: handler, dispatcher or a stream that is begun early."""

    ATTRS = web.Request.ATTRS | {"added"}
    added: Mapping[str, str] = {}
    """What the answer has besides its own headers."""

    async def read(self) -> bytes:
        """The body, as ever. One that came with its head is taken in one step: aiohttp looks for more of it, and has
        the parser look too.
        """
        content = self.content
        if self._read_bytes is None and content.is_eof() and content.total_bytes <= self._client_max_size:
            self._read_bytes = content.read_nowait()
            return self._read_bytes
        return await super().read()

    def clone(self, **changed: Any) -> "Request":  # noqa: ANN401 - aiohttp's
        """The same with other bounds; its answer has the same headers."""
        made = super().clone(**changed)
        assert isinstance(made, Request), "it is of its own class"
        made.added = self.added
        return made

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        headers, added = response.headers, self.added
        vary = headers.get(hdrs.VARY) if hdrs.VARY in added else None
        headers.update(added)
        if vary is not None:
            headers[hdrs.VARY] = f"{vary}, {added[hdrs.VARY]}"
        if self._match_info is not None:
            await super()._prepare_hook(response)


class Middleware:
    """Counts requests, logs them, and answers in our words where they fail.

    `direct`: handlers by path that are called without aiohttp's dispatcher, which is slow. They are mounted in the
    application as well, for requests with `Expect`, and for an application to which somebody has added middlewares (as
    OpenTelemetry's instrumentation does): these then see every request. `origins`: of pages that may ask.
    """

    def __init__(self, app: web.Application, direct: Mapping[str, Handler], origins: Collection[str] = ()) -> None:
        self._direct = {} if app.middlewares else direct
        self._cors = Cors(origins) if origins else None
        self._dispatcher: Handler | None = None
        self._under_way = 0
        self._stopping = False
        self._ended = asyncio.Event()

    def wrap(self, dispatcher: Handler) -> Handler:
        """The handler to use instead of `dispatcher`, which is called for all other paths."""
        self._dispatcher = dispatcher
        return self._handle

    async def end(self) -> None:
        """Return when no request is under way, or after a time limit. Connections are not kept alive from now on.

        aiohttp's own stop does not read on: a request whose body is not complete yet would hang, and then be cut off.
        """
        self._stopping = True
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await self._ended.wait()

    async def _handle(self, request: Request) -> web.StreamResponse:
        self._under_way += 1
        started, status, route = time.perf_counter(), 500, None
        request_id = _request_id(request)
        REQUEST_ID.set(request_id)
        request.added = {HEADER: request_id, **(self._cors.headers(request) if self._cors else {})}
        try:
            path = request.path
            direct = self._direct.get(path)
            preflight = self._cors.preflight(request) if self._cors else None
            if preflight is not None:
                route, response = "preflight", preflight
            elif direct is not None and hdrs.EXPECT not in request.headers:
                route = path
                response = await direct(request)
            else:
                assert self._dispatcher is not None
                response = await self._dispatcher(request)
            if hdrs.ACCEPT_ENCODING in request.headers and (response.content_length or 0) >= COMPRESSED_MIN_BYTES:
                await compress(request, response)
            if hdrs.IF_NONE_MATCH in request.headers:
                leave_out_known(request, response)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            if status < 400:
                raise
            response = _refusal(error)
        except Exception as error:
            if _hung_up(request, error):
                status = HUNG_UP
                return _incomplete()
            log.exception("a request failed")
            response = error_answer(500, "internal", "something went wrong here; the log says where")
        finally:
            self._under_way -= 1
            if self._stopping and not self._under_way:
                self._ended.set()
            _log(request, route or _route(request), status, time.perf_counter() - started)
        if self._stopping and not response.prepared:
            response.force_close()
        if type(response) is web.Response:
            await _send(request, response)
        return response


async def _send(request: Request, response: web.Response) -> None:
    """Send head and body in one step to a client that keeps its connection. aiohttp takes a dozen, for answers of every
    kind; it sends what is left here. docs/performance.md says what that is of a page.
    """
    body, transport = response.body, request.transport
    if response.status != 200 or not isinstance(body, bytes) or response.chunked or response.compression:
        return
    if (
        response.prepared
        or response.keep_alive is not None
        or not request.keep_alive
        or request.method == hdrs.METH_HEAD
    ):
        return
    if request.version != HttpVersion11 or transport is None or transport.is_closing():
        return
    headers, writer = response.headers, request._payload_writer
    headers[hdrs.CONTENT_LENGTH] = str(len(body))
    headers[hdrs.DATE] = rfc822_formatted_time()
    headers[hdrs.SERVER] = SERVER_SOFTWARE
    await request._prepare_hook(response)
    response._eof_sent = True
    with contextlib.suppress(ConnectionError):  # nobody waits for the rest: no fault of ours, to aiohttp neither
        await writer.write_headers("HTTP/1.1 200 OK", headers)
        await writer.write_eof(body)
        response._keep_alive = True


def _request_id(request: web.Request) -> str:
    """The client's id, if it may be repeated; else a new one of 24 hexadecimal digits."""
    given = request.headers.get(HEADER)
    if given is not None and may_be_repeated(given):
        return given
    # To tell requests apart, and no secret: the kernel's random bytes would take four times as long.
    return f"{random.getrandbits(96):024x}"


def _hung_up(request: web.Request, error: Exception) -> bool:
    """Whether a client ended its connection, or broke its body off, before it was answered. A lost connection of our
    own is a failure here: nothing of the body is missing then.
    """
    if isinstance(error, ClientConnectionResetError):
        return True
    return isinstance(error, _CUT_OFF) and request.content.exception() is not None


def _incomplete() -> web.Response:
    """What a client that only broke its body off can still read."""
    response = error_answer(
        400, "body_incomplete", "the body ended before it was complete, or is not framed as it says"
    )
    response.force_close()
    return response


def _log(request: web.Request, route: str | None, status: int, seconds: float) -> None:
    """Log one line per request. The path is the route's own, never the client's, and no query string is kept."""
    method = request.method
    log_request(
        method=method if method.isalpha() else "?",
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 1),
    )


def _route(request: web.Request) -> str | None:
    resource = request.match_info.route.resource
    return resource.canonical if resource else None


def _refusal(error: web.HTTPException) -> web.Response:
    """The answer to an HTTP error: a code and a sentence of ours, without traceback and input."""
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
    return error_answer(error.status, error.reason.lower().replace(" ", "_"), error.reason.lower(), headers)


def error_answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer `{"error": {"code", "message", "request_id"}}` with this HTTP status."""
    return web.json_response(error_body(code, message), status=status, headers=headers)


def log_request(*, method: str, route: str | None, status: int, duration_ms: float) -> None:
    """Log one answered request, whose values are ours. The line equals any other logger's, but costs less."""
    if not OUTPUT.informs:
        return
    if OUTPUT.console:
        with contextlib.suppress(*NOT_WRITTEN):
            get_logger().info("request", method=method, route=route, status=status, duration_ms=duration_ms)
        return
    event = {
        "request_id": REQUEST_ID.get(),
        "method": method,
        "route": route,
        "status": status,
        "duration_ms": duration_ms,
        "event": "request",
        "level": "info",
        "timestamp": datetime.now(UTC),
    }
    _requests.lines.append(orjson.dumps(event, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
    _write_soon()


def write_requests() -> None:
    """Write the lines of requests that wait to be written.

    It writes complete lines, and at most as many bytes at once as a pipe takes atomically, because several workers can
    share one.
    """
    lines, _requests.lines, _requests.timer = _requests.lines, [], None
    piece: list[bytes] = []
    for line in lines:
        if piece and sum(map(len, piece)) + len(line) > PIPE_BUF:
            _write(piece)
            piece = []
        piece.append(line)
    if piece:
        _write(piece)


def _write(lines: list[bytes]) -> None:
    with contextlib.suppress(*NOT_WRITTEN):
        OUTPUT.stream.write(b"".join(lines).decode())


def _write_soon() -> None:
    """Write waiting lines together, since a write takes longer than making a line. A kill can lose them."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        write_requests()
        return
    if _requests.timer is None or _requests.loop is not loop:
        _requests.loop, _requests.timer = loop, loop.call_later(_FLUSH_S, write_requests)


@dataclass(slots=True)
class _Requests:
    """`lines` wait to be written, by `timer` of `loop`."""

    lines: list[bytes] = field(default_factory=list[bytes])
    loop: asyncio.AbstractEventLoop | None = None
    timer: asyncio.TimerHandle | None = None


_requests = _Requests()
OUTPUT.before.append(write_requests)
atexit.register(write_requests)
