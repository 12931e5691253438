"""The console in a browser, as somebody has it: a role, a language, a theme, a width. Whatever a test does with it, its
page has to end without an error, without a request to anybody else, and without anything that its policy has stopped.

`console` opens one for the demo, to be signed in by hand; `signed_in` opens a page of any service with a key.
"""

import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, expect
from running import RunningService

Language: TypeAlias = Literal["en", "zh-CN"]
Theme: TypeAlias = Literal["light", "dark"]

WIDE: Final = (1440, 900)
PHONE: Final = (390, 844)
PICTURES: Final = Path(
    os.environ.get("CALLEDGER_TEST_PICTURES", Path(__file__).resolve().parents[1] / "build/pictures")
)
"""The folder in which pictures of pages are kept, to be looked at."""
WITHIN_MS: Final = 60_000
"""As long as a busy machine needs."""
LOOKS: Final[tuple[tuple[Language, tuple[int, int]], ...]] = (("en", WIDE), ("zh-CN", PHONE))
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
expect.set_options(timeout=WITHIN_MS)
_KEPT: Final = (
    "({session: {...sessionStorage}, local: {...localStorage}, cookies: document.cookie, url: location.href})"
)
# What a page has stopped because of its policy; Chromium says it in the console too.
_VIOLATIONS: Final = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  violations.push(`${violatedDirective} ${blockedURI}`);
});
"""
_BROAD: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass(slots=True)
class Demo:
    """A service with the demo's data, its keys by role, and a browser to look at it with."""

    service: RunningService
    keys: dict[str, str]
    browser: Browser

    @property
    def url(self) -> str:
        return self.service.url


@dataclass(slots=True)
class Console:
    """A page of the console, and `keys` by role that may be in no address. `said`: errors in the browser's console;
    `asked`: each request's address.
    """

    keys: Mapping[str, str]
    page: Page
    browser: Browser
    url: str
    may_say: "re.Pattern[str] | None" = None
    said: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    async def open(self, path: str = "") -> None:
        """Open an address of the console, relative to it."""
        await self.page.goto(f"{self.url}/console/{path}")

    async def sign_in(self, role: str, path: str = "", *, exchange: bool = True, keep: bool = False) -> None:
        """Open an address and sign in there with the demo's key of a role."""
        await self.open(path)
        await self.enter(self.keys[role], exchange=exchange, keep=keep)
        await expect(self.navigation).to_be_attached(timeout=WITHIN_MS)

    async def enter(self, key: str, *, exchange: bool = True, keep: bool = False) -> None:
        """Fill in the page to sign in, and send it by Enter."""
        await self.page.locator("input[type=password]").fill(key)
        ticks = self.page.locator("input[type=checkbox]")
        await ticks.nth(0).set_checked(exchange)
        await ticks.nth(1).set_checked(keep)
        await self.page.locator("input[type=password]").press("Enter")

    @property
    def navigation(self) -> Locator:
        return self.page.locator("nav.navigation")

    async def pages(self) -> list[str]:
        """The paths that the navigation leads to, such as `logs`."""
        links = await self.page.locator("nav.navigation a.navigation-link").evaluate_all("all => all.map(a => a.href)")
        return [link.split("/console/", 1)[1].partition("?")[0] for link in links]

    async def settled(self) -> None:
        """Wait until nothing is waited for."""
        await expect(self.page.locator("main#page")).to_be_visible(timeout=WITHIN_MS)
        await expect(self.page.locator(".waiting, .waiting-line, [aria-busy=true], [data-waiting=true]")).to_have_count(
            0, timeout=WITHIN_MS
        )

    async def painted(self) -> None:
        """Wait some frames, by which charts are drawn: the page is there before they are."""
        await self.page.evaluate(
            "async () => { for (let n = 0; n < 20; n++) await new Promise(requestAnimationFrame) }"
        )

    async def kept(self) -> dict[str, Any]:
        """What the page has left in the browser, and its address."""
        return await self.page.evaluate(_KEPT)

    async def picture(self, name: str) -> None:
        """Wait until all is drawn, and keep a picture of it."""
        await self.painted()
        await picture(self.page, name)

    async def barriers(self) -> list[str]:
        """What axe finds that keeps somebody out: rule, impact, and where, a line for each."""
        found = await Axe().run(self.page, options={"runOnly": {"type": "tag", "values": _BROAD}})
        return [
            f"{one['id']} ({one['impact']}): {', '.join(str(node['target']) for node in one['nodes'][:4])}"
            for one in found.response["violations"]
        ]

    async def clean(self) -> None:
        """Nothing went wrong so far: no error was said, nothing was stopped, nobody else was asked."""
        said = [line for line in self.said if not (self.may_say and self.may_say.search(line))]
        stopped = await self.page.evaluate("window.violations")
        others = [url for url in self.asked if not url.startswith((f"{self.url}/", "data:", "blob:"))]
        told = [url for url in self.asked if any(key in url for key in self.keys.values())]
        found = {"said": said, "stopped by the policy": stopped, "asked of others": others, "keys in addresses": told}
        assert not any(found.values()), {what: lines[:5] for what, lines in found.items() if lines}


@asynccontextmanager
async def console(
    demo: Demo,
    *,
    language: Language = "en",
    theme: Theme = "light",
    size: tuple[int, int] = WIDE,
    zone: str = "Europe/Berlin",
    may_say: str | None = None,
    url: str | None = None,
) -> AsyncIterator[Console]:
    """One page, which is clean at the end. `may_say`: errors that the test is about."""
    async with _opened(demo.browser, url or demo.url, demo.keys, language, theme, size, zone) as made:
        made.may_say = re.compile(may_say) if may_say else None
        yield made
        await made.clean()


@asynccontextmanager
async def signed_in(
    browser: Browser,
    url: str,
    key: str,
    path: str,
    *,
    language: Language = "en",
    theme: Theme = "light",
    size: tuple[int, int] = WIDE,
    zone: str = "Europe/Vienna",
) -> AsyncIterator[Page]:
    """A page of the console of the service at `url`, which is clean at the end."""
    async with _opened(browser, url, {"given": key}, language, theme, size, zone) as made:
        # What a tab keeps from a sign-in, so that each test need not type it.
        await made.page.add_init_script(f"sessionStorage.setItem('calledger.credential', {key!r})")
        await made.open(path)
        yield made.page
        await made.clean()


@asynccontextmanager
async def _opened(
    browser: Browser,
    url: str,
    keys: Mapping[str, str],
    language: Language,
    theme: Theme,
    size: tuple[int, int],
    zone: str,
) -> AsyncIterator[Console]:
    context = await browser.new_context(
        locale=language,
        color_scheme=theme,
        viewport={"width": size[0], "height": size[1]},
        timezone_id=zone,
        reduced_motion="reduce",
        has_touch=size == PHONE,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WITHIN_MS)
    await context.add_init_script(_VIOLATIONS)
    made = Console(keys, await context.new_page(), browser, url)
    made.page.on("console", _said(made.said))
    made.page.on("pageerror", lambda error: made.said.append(str(error)))
    made.page.on("request", _asked(made.asked))
    try:
        yield made
    finally:
        await context.close()


async def picture(page: Page, name: str) -> None:
    """Keep a picture of what is to be seen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


async def assert_accessible(page: Page) -> None:
    """axe-core finds nothing, and nothing is wider than the page."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths


async def assert_accessible_everywhere(browser: Browser, url: str, key: str, path: str, ready: str) -> None:
    """axe-core finds nothing in both themes and languages, on a screen and on a phone, once `ready` (CSS) is there."""
    for language, size in LOOKS:
        async with signed_in(browser, url, key, path, language=language, size=size) as page:
            await expect(page.locator(ready).first).to_be_visible()
            for theme in THEMES:
                await page.emulate_media(color_scheme=theme)
                await assert_accessible(page)


def parameters(url: str) -> dict[str, list[str]]:
    """The parameters of an address."""
    return parse_qs(urlsplit(url).query)


async def has_parameters(page: Page, wanted: Mapping[str, list[str] | None]) -> dict[str, list[str]]:
    """Wait until the address has these parameters, and none of those that are None; all that it has then.

    A browser tells of an address after the page shows what belongs to it: one look is too early now and then.
    """

    def has(url: str) -> bool:
        found = parameters(url)
        return all(found.get(name) == values for name, values in wanted.items())

    await page.wait_for_url(has)
    return parameters(page.url)


def _said(said: list[str]) -> Callable[[ConsoleMessage], None]:
    return lambda message: said.append(message.text) if message.type in ("error", "warning", "assert") else None


def _asked(asked: list[str]) -> Callable[[Request], None]:
    return lambda request: asked.append(request.url)


def texts(rows: Sequence[str]) -> list[str]:
    """Texts as they are read: without what only lays them out."""
    return [re.sub(r"\s+", " ", row).strip() for row in rows]
