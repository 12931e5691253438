"""What every request passes on its way in and out, in front of aiohttp's dispatcher."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from service.logs import get_logger, log_request

Handler = Callable[[Any], Awaitable[web.StreamResponse]]  # aiohttp says `BaseRequest` of what it gives as a `Request`
log = get_logger()

_PATIENCE_S: Final = 20.0


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
