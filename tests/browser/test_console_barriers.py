"""Every page of the console, as each reader has it: nothing keeps anybody out, and nothing goes wrong."""

import re

import pytest
from console import PHONE, WIDE, Console, Demo, Language, Theme, console
from playwright.async_api import expect

# Each role once, each setting once: every page in every setting is looked at by the tests of the pages themselves.
READERS = [
    pytest.param("admin", "en", "light", WIDE, id="admin, english, light, wide"),
    pytest.param("viewer", "zh-CN", "dark", WIDE, id="viewer, chinese, dark, wide"),
    pytest.param("partner", "en", "dark", PHONE, id="partner, english, dark, 390 pixels"),
    pytest.param("auditor", "zh-CN", "light", PHONE, id="auditor, chinese, light, 390 pixels"),
]


async def looked_at(page: Console, name: str) -> None:
    """No barrier by axe, nothing cut off at the side, and a picture is kept."""
    await page.settled()
    await page.picture(name)
    assert await page.barriers() == []
    overflow = await page.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "the page is as wide as the window"
    await page.clean()


@pytest.mark.parametrize(("role", "language", "theme", "size"), READERS)
async def test_each_page_keeps_nobody_out(
    demo: Demo, role: str, language: Language, theme: Theme, size: tuple[int, int]
) -> None:
    """On each page that the role has: no violation of WCAG that axe finds, in both themes, wide and on a phone."""
    async with console(demo, language=language, theme=theme, size=size) as page:
        await page.open()
        await expect(page.page.locator("input[type=password]")).to_be_visible()
        of_page = f"{language}-{theme}-{size[0]}"
        await page.picture(f"sign-in-{of_page}")
        assert await page.barriers() == []
        await page.sign_in(role)
        assert await page.page.evaluate("document.documentElement.lang") == language
        for path in await page.pages():
            link = page.page.locator(f"nav.navigation a[href*='/{path}']").first
            if size == PHONE and await page.page.locator(".layout[data-menu=false]").count():
                await page.page.locator(".page-menu button").click()
            await link.click()
            await expect(page.page).to_have_title(re.compile(r".+ · Calledger"))
            await looked_at(page, f"{path}-{role}-{of_page}")
