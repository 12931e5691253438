"""The console in a browser: signed in by a key, in a theme, a language and a width, and looked over by axe-core."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from axe_playwright_python.async_playwright import Axe
from chromium import browsing
from playwright.async_api import Browser, Page, expect

WAIT_MS: Final = 20_000
PHONE_PX: Final = 390


@asynccontextmanager
async def consoles() -> AsyncIterator[Browser]:
    """A browser whose pages wait as long as a busy machine needs."""
    expect.set_options(timeout=WAIT_MS)
    async with browsing() as browser:
        yield browser


@asynccontextmanager
async def console(
    browser: Browser,
    url: str,
    key: str,
    path: str,
    *,
    theme: Literal["light", "dark"] = "light",
    language: str = "en-GB",
    width_px: int = 1280,
) -> AsyncIterator[Page]:
    """A page of the console of the service at `url`; nothing may be said on the browser's console meanwhile."""
    context = await browser.new_context(
        viewport={"width": width_px, "height": 900},
        color_scheme=theme,
        locale=language,
        timezone_id="Europe/Vienna",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    # What a tab keeps from a sign-in, so that each test need not type it.
    await page.add_init_script(f"sessionStorage.setItem('calledger.credential', {key!r})")
    try:
        await page.goto(f"{url}/console/{path}")
        yield page
        assert said == []
    finally:
        await context.close()


async def assert_accessible(page: Page) -> None:
    """axe-core finds nothing, and nothing is wider than the page."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths


LOOKS: Final[tuple[tuple[Literal["light", "dark"], str, int], ...]] = (
    ("light", "en-GB", 1280),
    ("dark", "zh-CN", PHONE_PX),
    ("dark", "en-GB", 1280),
    ("light", "zh-CN", PHONE_PX),
)


async def assert_accessible_everywhere(browser: Browser, url: str, key: str, path: str, ready: str) -> None:
    """axe-core finds nothing in both themes and languages, on a screen and on a phone, once `ready` (CSS) is there."""
    for theme, language, width_px in LOOKS:
        async with console(browser, url, key, path, theme=theme, language=language, width_px=width_px) as page:
            await expect(page.locator(ready).first).to_be_visible()
            await assert_accessible(page)
