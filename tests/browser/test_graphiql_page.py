"""GraphiQL at `/graphql` in a real browser: it works by its own files, under a strict policy, and keeps no key."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from running import RunningService

KEPT = """
() => ({session: {...sessionStorage}, local: {...localStorage}, cookies: document.cookie})
"""


@dataclass(slots=True)
class Site:
    """A service, and a page at its `/graphql`."""

    service: RunningService
    browser: Browser
    page: Page
    said: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    async def sign_in(self, key: str) -> None:
        await self.page.fill("#key", key)
        await self.page.click("#sign-in button")


@pytest_asyncio.fixture(loop_scope="session")
async def site(browser: Browser, tmp_path: Path) -> AsyncIterator[Site]:
    service = await asyncio.to_thread(RunningService, tmp_path / "data")
    try:
        async with await browser.new_context() as context:
            page = await context.new_page()
            site = Site(service, browser, page)
            page.on("console", lambda message: site.said.append(message.text))
            page.on("pageerror", lambda error: site.said.append(str(error)))
            page.on("request", lambda request: site.asked.append(request.url))
            await page.goto(f"{service.url}/graphql")
            yield site
    finally:
        await asyncio.to_thread(service.stop)


async def test_a_person_asks_with_a_key(site: Site) -> None:
    """Signed in, the first query is answered, and the schema is there to read; nobody else is asked for anything, the
    policy is kept, and nothing stays when the tab is closed.
    """
    page, key = site.page, site.service.admin_key
    await site.sign_in(key)
    await page.click("button[aria-label^='Execute']")
    result = page.locator(".result-window")
    await expect(result).to_contain_text('"role": "ADMIN"', timeout=60_000)
    await page.click("button[aria-label='Show Documentation Explorer']")
    await expect(page.locator(".graphiql-doc-explorer")).to_contain_text("Query", timeout=60_000)

    assert {url.split("/")[2] for url in site.asked if not url.startswith(("data:", "blob:"))} == {
        site.service.url.removeprefix("http://")
    }
    assert site.said == [], "no error, and nothing that the policy has kept from it"
    kept = await page.evaluate(KEPT)
    assert kept["session"].pop("calledger:key") == key
    assert key not in json.dumps(kept)
    assert (kept["local"], kept["cookies"]) == ({}, "")

    await page.reload()
    await expect(page.locator(".graphiql-container")).to_be_visible(timeout=60_000)
    await page.click("#sign-out")
    await expect(page.locator("#sign-in")).to_be_visible()
    assert (await page.evaluate(KEPT))["session"] == {}
    async with await site.browser.new_context() as context:
        other = await context.new_page()
        await other.goto(f"{site.service.url}/graphql")
        await expect(other.locator("#sign-in")).to_be_visible()


async def test_a_wrong_key_is_told(site: Site) -> None:
    """Who is refused is back at the form, with the reason, and the key is forgotten."""
    await site.sign_in("cl_wrong")
    await expect(site.page.locator("#said")).to_contain_text("not valid", timeout=60_000)
    await expect(site.page.locator("#sign-in")).to_be_visible()
    assert "cl_wrong" not in json.dumps(await site.page.evaluate(KEPT))
