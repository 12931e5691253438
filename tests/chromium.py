"""Debian's Chromium, and pages of other origins for it."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from playwright.async_api import Browser, async_playwright

# The shell is Chromium without what makes windows: a page of it costs half as much.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
# A container gives Chromium no sandbox, and /dev/shm may be small.
OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage")


def program() -> str:
    """The browser's program; skips the test where there is none, which `.ci/chromium` explains."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("there is no Chromium here: `sh .ci/chromium` installs it")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser without a window."""
    async with async_playwright() as playwright:
        # As long as a service may take: where it fails, every test of the worker does.
        browser = await playwright.chromium.launch(executable_path=program(), args=[*OPTIONS], timeout=120_000)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def pages(texts: Mapping[str, str]) -> AsyncIterator[str]:
    """An origin that serves these pages by their path; its address, without a slash."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=texts[request.path], content_type="text/html")

    app = web.Application()
    for path in texts:
        app.router.add_get(path, page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
