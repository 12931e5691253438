"""A receiver of webhooks on the loopback: it checks signatures as receivers do, and answers what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Received:
    """One request: its headers and body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """The body, if the signature is good; raises otherwise."""
        return Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(slots=True)
class Receiver:
    """What came, and where it comes to. `answers`: what to answer next, in this order, and then `answer`."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[int | Answer] = field(default_factory=list)
    answer: int | Answer = 204
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Note the request, and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path_qs, headers, await request.read()))
        self.came.set()
        answer = self.answers.pop(0) if self.answers else self.answer
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)

    async def until(self, count: int) -> list[Received]:
        """What came, once that are so many."""
        while len(self.received) < count:
            self.came.clear()
            await self.came.wait()
        return self.received


@asynccontextmanager
async def receiving(host: str = "127.0.0.1", port: int | None = 0) -> AsyncIterator[Receiver]:
    """A receiver that listens during the block, on a port of its own unless one is given."""
    receiver = Receiver("")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    receiver.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
