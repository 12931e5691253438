"""The console behind a proxy that serves it below a path and takes that path away."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, web
from console import Demo, console
from playwright.async_api import expect

PREFIX = "/tools/ledger"
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding"}


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[str]:
    """The address of a proxy for the service, below `PREFIX`; whatever is asked elsewhere is not there."""

    async def forwarded(request: web.Request) -> web.StreamResponse:
        target = url + request.rel_url.raw_path_qs.removeprefix(PREFIX)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP | {"host"}}
        body = await request.read()
        async with session.request(request.method, target, headers=headers, data=body, allow_redirects=False) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_route("*", PREFIX + "{path:/.*}", forwarded)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    async with ClientSession() as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{PREFIX}"
        finally:
            await runner.cleanup()


async def test_everything_is_below_the_path(demo: Demo) -> None:
    """From `/` on, the page, its files, its questions, its own addresses and GraphiQL are below the path, and a reload
    of an address of the page is the page.
    """
    async with proxied(demo.url) as front, console(demo, url=front) as page:
        await page.page.goto(f"{front}/")
        await expect(page.page.locator("input[type=password]")).to_be_visible()
        await expect(page.page).to_have_url(re.compile(re.escape(f"{front}/console/")))
        await page.enter(demo.keys["viewer"], keep=True)
        await expect(page.navigation).to_be_attached()
        await page.page.goto(f"{front}/console/logs?range=7d")
        await expect(page.page.get_by_role("grid")).to_be_visible()
        await expect(page.page).to_have_url(f"{front}/console/logs?range=7d")
        await page.settled()
        linked = await page.page.locator("meta[name=graphiql]").evaluate(
            "meta => new URL(meta.content, document.baseURI).href"
        )
        assert linked == f"{front}/graphql"
        assert {url.split("?")[0] for url in page.asked if "graphql" in url} == {f"{front}/graphql"}


async def test_an_address_below_another_is_the_page(demo: Demo) -> None:
    """An address with more slashes, as a later version may have it, finds its files too, and says that it is none."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs//some/where?x=/y")
        await expect(page.page.locator("main#page")).to_be_visible()
        assert [url for url in page.asked if url.endswith((".js", ".css"))]
