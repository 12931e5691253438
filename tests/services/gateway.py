"""A gateway that reports over HTTP to the ingest routes on a free port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from ingesting import Ingest
from ledgers import recorded_key

from policies import Role
from service.ingest.http import routes
from service.ingest.pipeline.writer import Writer
from service.ingest.refusal_log import RefusalLog

MAX_BODY_BYTES = 4 * 2**20


class Gateway:
    """Posts to an ingest service with one API key."""

    def __init__(self, ingest: Ingest, writer: Writer, session: aiohttp.ClientSession, url: str) -> None:
        self.ingest = ingest
        self.writer = writer
        self.session = session
        self.url = url
        self.key = ""

    async def use_key(self, role: Role, accounts: list[str] | None = None, **record: Any) -> None:
        """Create a key and use it from now on."""
        numbers = None if accounts is None else list((await self.ingest.accounts.ensure(accounts)).values())
        self.key = await recorded_key(self.ingest.ledger, role, numbers, **record)

    async def post(self, content: Any, path: str = "/v1/calls", **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Status, answer and headers. `Content_Encoding="gzip"` is sent as the header of that name."""
        sent = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        async with self.session.post(self.url + path, data=content, headers=sent) as response:
            return response.status, await response.json(), response.headers


@asynccontextmanager
async def gateway_to(ingest: Ingest, **options: Any) -> AsyncIterator[Gateway]:
    app = web.Application()
    writer = await ingest.another_writer(**options) if options else ingest.writer
    refusals = RefusalLog(ingest.database.writer)
    app.add_routes(routes(writer, ingest.authenticator, refusals, max_body_bytes=MAX_BODY_BYTES))
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            gateway = Gateway(ingest, writer, session, f"http://127.0.0.1:{port}")
            await gateway.use_key(Role.INGEST)
            yield gateway
    finally:
        await runner.cleanup()


def error_of(answer: tuple[int, dict[str, Any], Any]) -> tuple[int, str]:
    """Status and code of a refusal, whose form is checked on the way."""
    status, document, _ = answer
    assert document.keys() == {"error"}
    assert document["error"].keys() == {"code", "message"}
    return status, document["error"]["code"]
