"""An aiohttp application as a process: a free port, and `ready URL` on standard output."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web


async def _serve(build: Callable[[], Awaitable[web.Application]]) -> None:
    runner = web.AppRunner(await build(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def serve(build: Callable[[], Awaitable[web.Application]]) -> None:
    """On uvloop where it is installed: whoever writes by hand for speed takes it."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(build))
    else:
        uvloop.run(_serve(build))
