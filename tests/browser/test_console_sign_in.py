"""Signing in to the console: each role sees what it may, and nothing of a key stays where it should not."""

import json
import re
from collections.abc import Callable

import pytest
from console import Demo, console
from playwright.async_api import Response, expect

ROLES = ("admin", "viewer", "partner", "support", "auditor", "compliance", "ingest")
WITHOUT_CALLS = ("auditor", "compliance", "ingest")


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_what_it_may(demo: Demo, role: str) -> None:
    """The navigation has the pages of the role, by what the service says that it may ask; the first of them opens
    without a refusal, and an address of another page says that it is not for this role.
    """
    async with console(demo) as page:
        await page.sign_in(role)
        pages = await page.pages()
        assert ("logs" in pages) == (role not in WITHOUT_CALLS)
        if pages:
            await page.settled()
            await expect(page.page).to_have_url(re.compile(f"/console/{pages[0]}"))
        await expect(page.page.locator(".problem")).to_have_count(0)
        if role == "admin":  # by a token, and of every account all the same
            await expect(page.page.locator(".who")).to_contain_text(re.compile("every account.*until"))
        if role == "auditor":  # which makes no tokens
            await expect(page.page.locator(".who")).to_contain_text("by its key")
        if role in WITHOUT_CALLS:
            await page.page.evaluate("history.pushState(null, '', 'logs')")
            await expect(page.page.locator("main#page")).to_contain_text(role, ignore_case=True)
            await expect(page.page.get_by_role("grid")).to_have_count(0)


async def test_a_key_stays_nowhere(demo: Demo) -> None:
    """Signed in, the key is not stored, and no part of an address; a reload asks for it again."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs")
        await page.settled()
        assert demo.keys["viewer"] not in json.dumps(await page.kept())
        await page.page.reload()
        await expect(page.page.locator("input[type=password]")).to_be_visible()


async def test_a_session_can_outlive_a_reload(demo: Demo) -> None:
    """By choice the tab keeps a session, as a token instead of the key; another tab has nothing of it, and whoever
    signs out leaves nothing.
    """
    async with console(demo, may_say="502") as page:
        await page.sign_in("viewer", "logs", keep=True)
        await page.settled()
        kept = await page.kept()
        assert demo.keys["viewer"] not in json.dumps(kept)
        assert [name for name in kept["session"] if "credential" in name]
        # A service that is away for a moment ends nothing, and its proxy's page is shown to nobody.
        bad_gateway = {"status": 502, "body": "<h1>Bad Gateway</h1>"}
        await page.page.route("**/graphql", lambda route: route.fulfill(**bad_gateway))
        await page.page.reload()
        await expect(page.page.get_by_role("alert")).to_contain_text("HTTP 502")
        await expect(page.page.get_by_role("alert")).not_to_contain_text("<h1>")
        await page.page.unroute("**/graphql")
        await page.page.get_by_role("button", name="Try again").click()
        await expect(page.navigation).to_be_visible()
        await page.settled()
        # What ails all of a page alike is said once, and one retry asks for all of it.
        await page.page.route("**/graphql", lambda route: route.fulfill(**bad_gateway))
        async with page.page.expect_response(of("Histogram")), page.page.expect_response(of("FilterMenus")):
            await page.page.keyboard.press("r")
        await expect(page.page.get_by_role("alert")).to_have_count(1)
        await expect(page.page.locator(".facets .waiting-line")).to_have_count(0)
        await page.page.unroute("**/graphql")
        await page.page.get_by_role("button", name="Try again").click()
        await expect(page.page.locator(".summary strong")).to_be_visible()
        await expect(page.page.locator(".facet-count").first).to_be_visible()
        await expect(page.page.get_by_role("alert")).to_have_count(0)
        other = await page.page.context.new_page()
        await other.goto(f"{demo.url}/console/logs")
        await expect(other.locator("input[type=password]")).to_be_visible()
        await page.page.get_by_role("button", name="Sign out").click()
        await expect(page.page.locator("input[type=password]")).to_be_visible()
        await page.page.wait_for_function("sessionStorage.length === 0 && document.cookie === ''")


@pytest.mark.parametrize("key", ["cl_wrong", "cl_aaaaaaaa_" + "a" * 44, "not a key", "ключ"])
async def test_a_wrong_key_is_told(demo: Demo, key: str) -> None:
    """Who is refused stays at the page, reads why, and can try again."""
    async with console(demo, may_say="401|400") as page:
        await page.open()
        await page.enter(key)
        await expect(page.page.get_by_role("alert")).to_be_visible()
        assert key not in await page.page.locator("main").inner_text()
        await page.enter(demo.keys["viewer"])
        await expect(page.navigation).to_be_visible()


@pytest.mark.parametrize("live", [False, True], ids=["asked", "live"])
async def test_a_session_that_ends_leads_back(demo: Demo, live: bool) -> None:
    """When its key is revoked, the page says that the session has ended, and its address stays: with the next question,
    and without one where a page listens for new calls.
    """
    key = demo.service.new_key("viewer")
    async with console(demo, may_say="401") as page:
        await page.open("logs?model=gpt-4o" + "&live=1" * live)
        await page.enter(key, exchange=False)
        await page.settled()
        if live:
            await expect(page.page.locator(".live-live")).to_be_visible()
        assert demo.service.command("keys", "revoke", key.split("_")[1]).returncode == 0
        if not live:
            await page.page.keyboard.press("r")
        await expect(page.page.locator("input[type=password]")).to_be_visible()
        await expect(page.page.get_by_role("status")).to_contain_text("ended")
        await expect(page.page).to_have_url(re.compile("model=gpt-4o"))


def of(operation: str) -> Callable[[Response], bool]:
    """Whether a response is that of an operation."""
    return lambda response: operation in (response.request.post_data or "")
