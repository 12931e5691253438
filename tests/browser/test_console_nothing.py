"""Why a page of the console shows nothing: no data yet, no match, out of retention and no permission are told apart."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from console import has_parameters, signed_in
from playwright.async_api import Browser, Page, expect
from running import RunningService

PAGES = ("logs", "errors", "costs")
GONE = "from=2015-01-01T00:00:00Z&to=2015-01-02T00:00:00Z"
DATA, MATCH, RETENTION = "No call has been recorded yet", "No call matches", "This time is past what is kept"


def call(number: int, *, failed: bool, **facts: Any) -> dict[str, Any]:
    moment = (datetime.now(UTC) - timedelta(hours=3 * number)).isoformat(timespec="milliseconds")
    status = "failed" if failed else "succeeded"
    return {"id": f"n{number}", "started_at": moment, "account": "acme", "model": "gpt-4o", "status": status, **facts}


def without(text: str, role: str, *roots: str) -> str:
    """A policy whose role may not ask these root fields."""
    before, found, after = re.split(rf"(\[roles\.{role}\]\n.*?\n\])", text, maxsplit=1, flags=re.DOTALL)
    for root in roots:
        assert f'"{root}"' in found
        found = re.sub(rf'"{root}",\s', "", found)
    return before + found + after


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """With a call, and a failed one that has no error beside it."""
    running = RunningService(tmp_path_factory.mktemp("nothing") / "data")
    running.report(running.admin_key, call(1, failed=False), call(2, failed=True))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("empty") / "data")
    yield running
    running.stop()


async def says(page: Page, text: str) -> None:
    """The page says this, and no other reason."""
    said = page.locator("main .empty-title")
    await expect(said).to_have_text(text)
    await expect(page.locator(".problem")).to_have_count(0)


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_says_why_it_shows_nothing(
    service: RunningService, empty: RunningService, browser: Browser, path: str
) -> None:
    """Each of the four reasons on each page, with the ways out: a time that finds something, and no filter."""
    viewer, auditor = [await asyncio.to_thread(service.new_key, role) for role in ("viewer", "auditor")]
    async with signed_in(browser, empty.url, empty.admin_key, f"{path}?range=24h") as page:
        await says(page, DATA)
        await expect(page.locator("main .empty")).to_contain_text("/v1/calls")
    async with signed_in(browser, service.url, viewer, f"{path}?{GONE}") as page:
        await says(page, RETENTION)
        await page.get_by_role("button", name="Last 7 days").click()
        await expect(page.get_by_text(RETENTION)).to_have_count(0)
    async with signed_in(browser, service.url, viewer, f"{path}?range=24h&model=none-such") as page:
        await says(page, MATCH)
        await page.get_by_role("button", name="Clear the filters").click()
        await expect(page.get_by_text(MATCH)).to_have_count(0)
    async with signed_in(browser, service.url, auditor, path) as page:
        await says(page, "The role Auditor may not see this page.")


async def test_what_the_service_says_is_told_apart_in_chinese(service: RunningService, browser: Browser) -> None:
    """The reason is in the reader's language; the service's own words follow it, marked as English, and only once."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    for path in PAGES:
        async with signed_in(browser, service.url, viewer, f"{path}?{GONE}", language="zh-CN") as page:
            await says(page, "此时间已超出保留期限")
            await expect(page.locator("main [lang=en]")).to_have_count(1)
            await expect(page.locator("main .empty [lang=en]")).to_contain_text("startedAt")
            await expect(page.locator("main .empty > p").nth(1)).not_to_contain_text(re.compile("[A-Za-z]"))


async def test_no_failure_and_failures_without_details_are_told_apart(
    service: RunningService, browser: Browser
) -> None:
    """A time in which nothing failed, and one whose failures are in the logs alone, with the way there."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "errors?range=4h") as page:
        await says(page, "No errors in this time")
        await expect(page.locator("main .empty")).to_contain_text("The only call did not fail.")
    async with signed_in(browser, service.url, viewer, "errors?range=24h") as page:
        await says(page, "No details of errors in this time")
        await page.get_by_role("link", name="Its calls in the logs").click()
        await expect(page.locator(".calls-row")).to_have_count(1)


async def test_who_may_not_ask_for_sums_is_told_too(tmp_path: Path, browser: Browser) -> None:
    """Without sums the menus tell that a time is gone, and without menus the policy's windows; errors say no less. An
    address that filters by what the role does not see says so, and nothing is left out of it unasked.
    """
    shipped = resources.files("policies.presets").joinpath("default.toml").read_text("utf-8")
    policy = tmp_path / "policy.toml"
    shipped = shipped.replace("[roles.support.fields]\n", '[roles.support.fields]\n"Call.team" = "denied"\n')
    policy.write_text(without(without(shipped, "viewer", "costs"), "support", "costs", "facets"))
    running = await asyncio.to_thread(RunningService, tmp_path / "data", environment={"CALLEDGER_POLICY": str(policy)})
    try:
        await asyncio.to_thread(running.report, running.admin_key, call(1, failed=False))
        for role in ("viewer", "support"):
            key = await asyncio.to_thread(running.new_key, role)
            for path, match in (("logs", MATCH), ("errors", "No errors in this time")):
                async with signed_in(browser, running.url, key, f"{path}?{GONE}") as page:
                    await says(page, RETENTION)
                async with signed_in(browser, running.url, key, f"{path}?range=24h&model=none-such") as page:
                    await says(page, match)
        async with signed_in(browser, running.url, key, "costs") as page:
            await says(page, "The role Support may not see this page.")
        async with signed_in(browser, running.url, key, "logs?range=24h&team=search&min.latencyMs=5") as page:
            await says(page, "Your role may not use this filter")
            await expect(page.locator("main .empty")).to_contain_text("does not see: Team.")
            await page.get_by_role("button", name="Go on without it").click()
            await says(page, MATCH)
            assert await has_parameters(page, {"team": None}) == {"range": ["24h"], "min.latencyMs": ["5"]}
            await page.go_back()
            await says(page, "Your role may not use this filter")
    finally:
        await asyncio.to_thread(running.stop)
