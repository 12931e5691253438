"""The console without a mouse."""

import re

from console import Demo, console
from playwright.async_api import expect


async def test_logs_by_keyboard_alone(demo: Demo) -> None:
    """Signing in, filtering, opening a call, going on to the next, closing it, help: all by keys, and the focus is
    always on something that shows it.
    """
    async with console(demo) as page:
        await page.open("logs?range=30d")
        keys = page.page.keyboard
        await expect(page.page.locator("input[type=password]")).to_be_focused()
        await keys.type(demo.keys["viewer"])
        await keys.press("Enter")
        await expect(page.page.get_by_role("grid")).to_be_visible()
        await page.settled()

        await keys.press("/")
        await expect(page.page.locator("[data-filter]")).to_be_focused()
        await keys.type("model:gpt-4o-mini")
        await expect(page.page.get_by_role("listbox").get_by_role("option").first).to_be_visible()
        await keys.press("Enter")
        await expect(page.page.locator(".chips .chip")).to_have_count(1)
        await expect(page.page).to_have_url(re.compile("model=gpt-4o-mini"))
        await keys.press("Escape")
        await page.settled()

        await page.page.locator("body").press("Tab")
        for _ in range(80):
            focused = await page.page.evaluate(
                """() => { const at = document.activeElement, style = getComputedStyle(at);
                return [at.getAttribute('role'), style.outlineStyle !== 'none' || style.boxShadow !== 'none'
                    || at.matches('input, select, [role=grid]') || at === document.body]; }"""
            )
            assert focused[1], await page.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
            if focused[0] == "grid":
                break
            await keys.press("Tab")
        await expect(page.page.get_by_role("grid")).to_be_focused()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            await keys.press(key)
        await expect(page.page.locator("aside.call")).to_be_visible()
        await expect(page.page).to_have_url(re.compile("call="))
        first = page.page.url
        await keys.press("j")
        await expect(page.page).not_to_have_url(first)
        await keys.press("Escape")
        await expect(page.page.locator("aside.call")).to_have_count(0)

        await keys.press("?")
        await expect(page.page.get_by_role("dialog")).to_be_visible()
        assert await page.barriers() == []
        await keys.press("Escape")
        await expect(page.page.get_by_role("dialog")).to_have_count(0)


async def test_the_focus_is_never_lost(demo: Demo) -> None:
    """What is pressed by a key and goes leaves the focus where one goes on: the list after a call, the box after a
    chip, the name of what was opened after that is closed; and the buttons of a call stay with the next one.
    """
    async with console(demo) as page:
        focused, keys = page.page.locator(":focus"), page.page.keyboard
        await page.sign_in("viewer", "logs?range=7d&model=gpt-4o", keep=True)
        await page.settled()
        grid = page.page.get_by_role("grid")
        await grid.focus()
        for key in ("ArrowDown", "Enter"):
            await keys.press(key)
        following = page.page.get_by_role("button", name="Next call (J)")
        await following.focus()
        opened = page.page.url
        await keys.press("Enter")
        await expect(page.page).not_to_have_url(opened)
        await expect(following).to_be_focused()
        await page.page.get_by_role("button", name="Close (Esc)").focus()
        await keys.press("Enter")
        await expect(grid).to_be_focused()
        await page.page.locator(".chips .chip").focus()
        await keys.press("Enter")
        await expect(page.page.locator("[data-filter]")).to_be_focused()

        for path, close in (("errors?range=7d", "Close this error"), ("reconciliations", "Close")):
            await page.open(path)
            name = page.page.locator(".linkish").first
            text = await name.inner_text()
            await name.focus()
            await keys.press("Enter")
            await expect(page.page.get_by_role("heading", name=text)).to_be_focused()
            await page.page.get_by_role("button", name=close, exact=True).focus()
            await keys.press("Enter")
            await expect(focused).to_have_text(text)


async def test_g_and_a_letter_lead_to_each_page(demo: Demo) -> None:
    """Each page of the help has its letter, and `g` with it leads there, for the same time."""
    async with console(demo) as page:
        await page.sign_in("admin", "logs?range=7d")
        await page.settled()
        await page.page.keyboard.press("?")
        pairs = await page.page.locator("dl.keys > div").evaluate_all(
            """all => all.map(one => [[...one.querySelectorAll('kbd')].map(key => key.innerText),
            one.querySelector('dd').innerText])"""
        )
        await page.page.keyboard.press("Escape")
        pages = {keys[1]: title for keys, title in pairs if keys[0] == "g"}
        assert pages
        for key, title in pages.items():
            await page.page.keyboard.press("g")
            await page.page.keyboard.press(key)
            await expect(page.page).to_have_title(re.compile(re.escape(title)))
            await page.settled()
            await expect(page.page).to_have_url(re.compile("range=7d"))


async def test_the_first_tab_skips_the_navigation(demo: Demo) -> None:
    """The first stop of Tab leads past the navigation, into the page."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=7d", keep=True)
        await page.page.reload()
        await page.settled()
        await page.page.keyboard.press("Tab")
        await expect(page.page.locator("a.skip")).to_be_focused()
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("main#page")).to_be_focused()
        await expect(page.page).to_have_url(re.compile("range=7d"))
