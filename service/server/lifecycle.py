"""Accepting requests: the HTTP application on its socket, and the work of a process besides."""

import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from service.api import GRAPHQL
from service.ingest.setup import close_writer
from service.keyring.watch import reason_unusable, watch_for_ever
from service.runtime.runtime import Runtime
from service.server.application import Runner, build_app
from service.server.middleware import Middleware, write_requests
from service.server.sockets import cannot_listen
from service.storage.cold.tier import let_go_for_ever
from service.storage.notifications import listen_for_ever
from service.storage.numbering import number_for_ever
from service.tasks import background

_CUT_OFF_SECONDS = 1.0


@asynccontextmanager
async def accepting_requests(runtime: Runtime, listener: socket.socket) -> AsyncIterator[None]:
    """Accept requests on `listener` during the block; at its end finish those under way, then the writer's queue."""
    app = build_app(runtime)
    middleware = Middleware(app, {"/graphql": app[GRAPHQL]}, runtime.settings.origins)
    # Bodies are not decompressed here: ingest decodes gzip itself, within its limits.
    runner = Runner(
        app, middleware, access_log=None, shutdown_timeout=_CUT_OFF_SECONDS, handle_signals=False, auto_decompress=False
    )
    await runner.setup()
    async with background([*_background_work(runtime), *app[GRAPHQL].background_work()]):
        try:
            # Inside of `try`, so that nothing is left running if the port was taken meanwhile.
            site = await _start(runner, listener)
            yield
            await site.stop()
            app[GRAPHQL].streams.end_all()
            await middleware.end()
        finally:
            await runner.cleanup()
            await close_writer(app)
            write_requests()


def _background_work(runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    """The loops of a process that answers: it reacts to notices, watches the keyring, and records uses of keys."""

    async def forget_keys() -> None:
        """Check API keys anew."""
        runtime.authenticator.forget()

    async def forget_data_keys() -> None:
        """Drop data keys from memory, and check whether another keyring is in place by now."""
        runtime.keyring.forget()
        await reason_unusable(runtime.keyring)  # another keyring may be in its place by now

    async def read_on() -> None:
        """Wake those who listen to the change feed."""
        runtime.numbered.notify_all()

    reactions = {
        "keys": forget_keys,
        "purge": forget_data_keys,
        "policy": runtime.reload_policy,
        "accounts": runtime.accounts.refresh,
        "changes": read_on,
    }
    listening = listen_for_ever(runtime.database.url, reactions, {"accounts": runtime.accounts.on_notification})
    numbering = number_for_ever(runtime.database.url, wake=runtime.recorded)
    watching = watch_for_ever(runtime.keyring)
    assert runtime.database.cold is not None, "a runtime has a cold tier"
    letting_go = let_go_for_ever(runtime.database.cold, runtime.database.owner)
    return [listening, numbering, watching, letting_go, runtime.authenticator.note_uses_for_ever()]


async def _start(runner: web.AppRunner, listener: socket.socket) -> web.SockSite:
    site = web.SockSite(runner, listener)
    try:
        await site.start()
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise cannot_listen(host, port, error) from None
    return site
