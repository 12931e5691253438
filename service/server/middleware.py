"""What every request passes on its way in and out, in front of aiohttp's dispatcher: it is counted and logged."""

import asyncio
import atexit
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from service.logs import FORM, NOT_WRITTEN, get_logger

Handler = Callable[[Any], Awaitable[web.StreamResponse]]  # aiohttp says `BaseRequest` of what it gives as a `Request`
log = get_logger()

_PATIENCE_S: Final = 20.0
_TOGETHER_S: Final = 0.05


class Front:
    """Counts requests, logs them, and answers in our words where they fail.

    `straight`: handlers by path for which aiohttp need not look for one; to find it, and to walk through middlewares,
    took it a tenth of a page's time. They are mounted in the application as well, for whoever sends `Expect`, and for
    an application that somebody has given middlewares (OpenTelemetry's instrumentation does): these see every request.
    """

    def __init__(self, app: web.Application, straight: Mapping[str, Handler]) -> None:
        self._straight = {} if app.middlewares else straight
        self._dispatched: Handler | None = None
        self._under_way = 0
        self._stopping = False
        self._ended = asyncio.Event()

    def before(self, dispatched: Handler) -> Handler:
        """What handles requests instead of `dispatched`, which is asked for the rest of them."""
        self._dispatched = dispatched
        return self._handle

    async def end(self) -> None:
        """Return when no request is under way, or patience has run out. Connections are not kept alive from now on.

        aiohttp's own stop does not read on: a request whose body is still on its way would hang, and then be cut off.
        """
        self._stopping = True
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ended.wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        started, status, route = time.perf_counter(), 500, None
        try:
            path = request.path
            straight = self._straight.get(path)
            if straight is not None and hdrs.EXPECT not in request.headers:
                route = path
                response = await straight(request)
            else:
                assert self._dispatched is not None
                response = await self._dispatched(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            if status < 400:
                raise
            response = _refusal(error)
        except Exception:
            log.exception("a request failed")
            response = error_answer(500, "internal", "something went wrong here; the log says where")
        finally:
            self._under_way -= 1
            if self._stopping and not self._under_way:
                self._ended.set()
            _tell(request, route or _route(request), status, time.perf_counter() - started)
        if self._stopping and not response.prepared:
            response.force_close()
        return response


def _tell(request: web.Request, route: str | None, status: int, seconds: float) -> None:
    """One line a request. The path is the route's own, never the client's, and no query string is kept."""
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
    """No traceback and no input in an answer: an error is a code and a sentence of ours."""
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
    return error_answer(error.status, error.reason.lower().replace(" ", "_"), error.reason.lower(), headers)


def error_answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


def log_request(*, method: str, route: str | None, status: int, duration_ms: float) -> None:
    """The line of one answered request; its values are ours. The same line as any other logger's, for less."""
    if not FORM.informs:
        return
    if FORM.console:
        with contextlib.suppress(*NOT_WRITTEN):
            get_logger().info("request", method=method, route=route, status=status, duration_ms=duration_ms)
        return
    event = {
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

    Whole lines, and no more of them at once than a pipe takes in one piece: several workers can share one.
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
        FORM.stream.write(b"".join(lines).decode())


def _write_soon() -> None:
    """Lines of one moment go out together: to write each takes longer than to make it. A kill can lose as many."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        write_requests()
        return
    if _requests.timer is None or _requests.loop is not loop:
        _requests.loop, _requests.timer = loop, loop.call_later(_TOGETHER_S, write_requests)


@dataclass(slots=True)
class _Requests:
    """`lines` wait to be written, by `timer` of `loop`."""

    lines: list[bytes] = field(default_factory=list[bytes])
    loop: asyncio.AbstractEventLoop | None = None
    timer: asyncio.TimerHandle | None = None


_requests = _Requests()
FORM.before.append(write_requests)
atexit.register(write_requests)
