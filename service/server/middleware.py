"""What every request passes before and after aiohttp's dispatcher."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from service.logs import get_logger, log_request

Handler = Callable[[Any], Awaitable[web.StreamResponse]]  # aiohttp says `BaseRequest` of what it gives as a `Request`
log = get_logger()

_STOP_TIMEOUT_S: Final = 20.0


class Middleware:
    """Counts requests, logs them, and answers in our words where they fail.

    `direct`: handlers by path that are called without aiohttp's dispatcher, which is slow. They are mounted in the
    application as well, for requests with `Expect`, and for an application to which somebody has added middlewares (as
    OpenTelemetry's instrumentation does): these then see every request.
    """

    def __init__(self, app: web.Application, direct: Mapping[str, Handler]) -> None:
        self._direct = {} if app.middlewares else direct
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

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        started, status, route = time.perf_counter(), 500, None
        try:
            path = request.path
            direct = self._direct.get(path)
            if direct is not None and hdrs.EXPECT not in request.headers:
                route = path
                response = await direct(request)
            else:
                assert self._dispatcher is not None
                response = await self._dispatcher(request)
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
            _log(request, route or _route(request), status, time.perf_counter() - started)
        if self._stopping and not response.prepared:
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
    """A JSON answer `{"error": {"code", "message"}}` with this HTTP status."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)
