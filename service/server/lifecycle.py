"""Answering on a port: the HTTP application on its listener, and what a process has to hear of meanwhile."""

import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from service.api import GRAPHQL
from service.ingest import close_writer
from service.keyring.watch import reason_unusable
from service.runtime.runtime import Runtime
from service.server.application import Runner, build_app
from service.server.middleware import Front, write_requests
from service.server.sockets import cannot_listen
from service.storage.notices import listen_for_ever
from service.tasks import background

_CUT_OFF_SECONDS = 1.0


@asynccontextmanager
async def answering(runtime: Runtime, listener: socket.socket) -> AsyncIterator[None]:
    """Accept requests on `listener`; on the way out finish those under way, then what the writer holds."""
    app = build_app(runtime)
    front = Front(app, {"/graphql": app[GRAPHQL]})
    # Bodies arrive as they were sent: ingest decodes gzip itself, within its bounds.
    runner = Runner(
        app, front, access_log=None, shutdown_timeout=_CUT_OFF_SECONDS, handle_signals=False, auto_decompress=False
    )
    await runner.setup()
    async with background(_attention(runtime)):
        try:
            # Inside, so that a port that somebody took meanwhile leaves nothing running.
            site = await _start(runner, listener)
            yield
            await site.stop()
            await front.end()
        finally:
            await runner.cleanup()
            await close_writer(app)
            write_requests()


def _attention(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    async def forget_keys() -> None:
        runtime.authenticator.forget()

    async def forget_data_keys() -> None:
        runtime.keyring.forget()
        await reason_unusable(runtime.keyring)  # another may lie in its place by now

    reactions = {
        "keys": forget_keys,
        "purge": forget_data_keys,
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
    }
    listening = listen_for_ever(runtime.database.url, reactions, {"accounts": runtime.accounts.on_notice})
    return [listening, runtime.authenticator.note_uses_for_ever()]


async def _start(runner: web.AppRunner, listener: socket.socket) -> web.SockSite:
    site = web.SockSite(runner, listener)
    try:
        await site.start()
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise cannot_listen(host, port, error) from None
    return site
