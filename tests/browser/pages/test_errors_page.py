"""The console's page of errors, as those who may see it do."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console import assert_accessible_everywhere, has_parameters, signed_in
from playwright.async_api import Browser, expect
from running import RunningService


def call(number: int, minutes_ago: int, error: str | None, **facts: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    failure = {"type": error, "code": "429", "message": f"{error} for jane@example.com"} if error else None
    named = {"id": f"e{number}", "started_at": moment.isoformat(timespec="milliseconds"), "account": "acme"}
    return {**named, "model": "gpt-4o", "status": "failed" if error else "succeeded", "error": failure, **facts}


CALLS = (
    *(call(number, 30 * number, "RateLimitError") for number in range(1, 4)),
    call(10, 20, "Timeout", model="claude"),
    *(call(number, number, None) for number in range(20, 32)),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("errors") / "data")
    running.report(running.admin_key, *CALLS)
    yield running
    running.stop()


async def test_errors_are_grouped_and_lead_to_their_calls(service: RunningService, browser: Browser) -> None:
    """Kinds with their share of all calls and trend; one opens its newest errors, masked, and leads to the logs."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "errors?range=24h") as page:
        await expect(page.get_by_text("4 of 16 calls failed (25%)")).to_be_visible()
        rows = page.get_by_role("table", name="Kinds of errors").locator("tbody tr")
        await expect(rows).to_have_count(2)
        await expect(rows.nth(0)).to_contain_text(re.compile("RateLimitError.*3.*19%.*gpt-4o"))
        await expect(rows.nth(0).get_by_role("img", name=re.compile("at most"))).to_be_visible()
        await page.get_by_text("Last seen", exact=True).first.click()
        await expect(rows.nth(0)).to_contain_text("Timeout")

        await page.get_by_role("button", name="RateLimitError").click()
        newest = page.get_by_role("table", name="The newest of them").locator("tbody tr")
        await expect(newest).to_have_count(3)
        await expect(page.get_by_role("heading", name="RateLimitError")).to_be_focused()
        assert "jane@" not in await page.inner_text("body")
        await page.keyboard.press("Escape")
        await expect(newest).to_have_count(0)
        await page.get_by_role("button", name="RateLimitError").click()
        await page.get_by_role("link", name="Its calls in the logs").click()
        await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
        asked = await has_parameters(page, {"errorType": ["RateLimitError"]})
        assert asked == {
            "range": ["24h"],
            "status": ["FAILED"],
            "errorType": ["RateLimitError"],
            "model": ["gpt-4o"],
        }


async def test_a_share_is_of_all_calls_whatever_the_filter_says_of_errors(
    service: RunningService, browser: Browser
) -> None:
    """With a kind of error in the filter it is of the calls that did not fail too; the page leads to a file."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "errors?range=24h&errorType=RateLimitError") as page:
        await expect(page.get_by_text("3 of 16 calls failed (19%)")).to_be_visible()
        row = page.get_by_role("table", name="Kinds of errors").locator("tbody tr")
        await expect(row).to_contain_text(re.compile("RateLimitError.*3.*19%"))
        await page.get_by_role("button", name="RateLimitError", exact=True).click()
        newest = page.get_by_role("table", name="The newest of them").locator("tbody tr").first
        await expect(newest.locator("mark")).to_contain_text("email")
        await expect(newest).not_to_contain_text("[redacted")
        await page.get_by_role("link", name="Export", exact=True).click()
        await expect(page.get_by_role("radio", name="Errors")).to_be_checked()
        asked = {"range": ["24h"], "errorType": ["RateLimitError"], "kind": ["ERRORS"]}
        assert await has_parameters(page, asked) == asked


async def test_no_errors_no_calls_and_no_permission_are_told_apart(service: RunningService, browser: Browser) -> None:
    """A model without errors, a model without calls, a filter that errors do not know, and an auditor."""
    async with signed_in(
        browser, service.url, service.admin_key, "errors?range=24h&errorType=None&status=FAILED"
    ) as page:
        await expect(page.get_by_text("Errors are not chosen by Status")).to_be_visible()
    async with signed_in(browser, service.url, service.admin_key, "errors?range=24h&model=nothing") as page:
        await expect(page.get_by_text("No call matches")).to_be_visible()
    auditor = await asyncio.to_thread(service.new_key, "auditor")
    async with signed_in(browser, service.url, auditor, "errors") as page:
        await expect(page.get_by_text("The role Auditor may not see this page.")).to_be_visible()


async def test_errors_are_accessible(service: RunningService, browser: Browser) -> None:
    """axe-core finds nothing, in both themes and languages, and on a phone."""
    await assert_accessible_everywhere(browser, service.url, service.admin_key, "errors?range=24h", ".plain-table")
