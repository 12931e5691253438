"""The HTTP application: which handler is mounted at which path."""

import os
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service import api, console, export
from service.api.execution.limits import BODY_BYTES_MAX
from service.delivery import setup as delivery
from service.imports import setup as imports
from service.ingest import setup as ingest
from service.keyring.watch import reason_unusable
from service.logs import get_logger
from service.reconcile import setup as reconcile
from service.runtime.runtime import Runtime
from service.server.middleware import Handler, Middleware, Request, error_answer
from service.server.process_metrics import METRICS, ProcessCollector
from service.storage.readiness import Readiness

log = get_logger()

_PROCESSES = CollectorRegistry()
_PROCESSES.register(ProcessCollector())


def build_app(runtime: Runtime) -> web.Application:
    """The application of one process. It takes the runtime as open, and does not close it."""
    # Each endpoint has a limit of its own: that of reports, which can be set, must not apply to the others.
    app = web.Application(client_max_size=max(runtime.settings.max_body_bytes, BODY_BYTES_MAX))
    ingest.setup(app, runtime)
    imports.setup(app, runtime)
    reconcile.setup(app, runtime)
    api.setup(app, runtime)
    export.setup(app, runtime)
    delivery.setup(app, runtime)
    console.setup(app, console=runtime.settings.console, graphiql=runtime.settings.graphiql)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(runtime))
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/v1/checkpoint", _checkpoint(runtime))
    return app


class _Connection(RequestHandler):
    """One connection. A request that is not HTTP is refused in our words, because aiohttp's quote it."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer an error of the parser without repeating what was sent."""
        return super().handle_error(request, status, exc, "the request cannot be read" if message else None)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application behind our middleware, and behind connections that repeat nothing."""

    __slots__ = ("_middleware",)

    def __init__(self, app: web.Application, middleware: Middleware, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(app, **options)
        self._middleware = middleware

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        # aiohttp has no parameter for the class of its connections: the server is made once more, as one of ours.
        return _Server(
            self._middleware.wrap(made.request_handler),
            request_factory=partial(self.app._make_request, _cls=Request),
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


async def _healthz(_: web.Request) -> web.Response:
    """Answer that the process runs."""
    return web.json_response({"status": "ok"})


def _readyz(runtime: Runtime) -> Handler:
    data = runtime.settings.data if runtime.settings.database_url is None else None
    readiness = Readiness(runtime.database.owner, data)

    async def ready(_: web.Request) -> web.Response:
        """Answer whether the database can be written; without the keyring calls are stored, but no error details."""
        missing = await readiness.missing()
        if missing is not None:
            return web.json_response({"status": missing}, status=503)
        if await reason_unusable(runtime.keyring) is not None:
            return web.json_response({"status": "degraded", "missing": ["the keyring"]})
        return web.json_response({"status": "ok"})

    return ready


def _checkpoint(runtime: Runtime) -> Handler:
    async def checkpoint(_: web.Request) -> web.Response:
        """Answer with the newest signed checkpoint, for witnesses: the number of entries and their root hash.

        Nothing is signed on request, because anybody may send one.
        """
        issued = await runtime.publisher.checkpoints.latest()
        if issued is None:
            return error_answer(404, "not_found", "no checkpoint was signed yet")
        return web.Response(text=issued.note, headers={"Cache-Control": "no-cache"})

    return checkpoint


async def _metrics(_: web.Request) -> web.Response:
    """Answer with metrics in Prometheus' text format, of all worker processes; no label has a client's text."""
    registry = REGISTRY
    if METRICS in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    body = generate_latest(registry) + generate_latest(_PROCESSES)
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4"})
