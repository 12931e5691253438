"""Lists of the console that are asked for page by page: forward, and back by the cursors that were passed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console import signed_in
from playwright.async_api import Browser, Locator, Page, expect
from running import RunningService

KEYS, KINDS, DELIVERIES = 120, 55, 25
_WEBHOOK = '{ createWebhook(input: {url: "https://example.com/hook", events: [EXPORT_READY]}) { webhook { id } } }'


def failed(number: int) -> dict[str, Any]:
    moment = (datetime.now(UTC) - timedelta(minutes=number + 1)).isoformat(timespec="milliseconds")
    error = {"type": f"Kind{number}Error", "message": "it went wrong"}
    return {
        "id": f"p{number}",
        "started_at": moment,
        "account": "acme",
        "model": "m",
        "status": "failed",
        "error": error,
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """More keys, entries of the ledger, kinds of errors and deliveries than a page of each has."""
    running = RunningService(tmp_path_factory.mktemp("pager") / "data")
    key = running.admin_key
    running.report(key, *map(failed, range(KINDS)))
    hook = running.ask(key, f"mutation {_WEBHOOK}")["data"]["createWebhook"]["webhook"]["id"]
    for first in range(0, KEYS, 20):
        made = "".join(
            f'k{n}: createApiKey(input: {{role: VIEWER, name: "key {n}"}}) {{ key }} ' for n in range(first, first + 20)
        )
        assert "errors" not in running.ask(key, f"mutation {{ {made} }}")
    sent = "".join(f't{n}: sendTestWebhook(id: "{hook}") {{ delivery {{ id }} }} ' for n in range(DELIVERIES))
    assert "errors" not in running.ask(key, f"mutation {{ {sent} }}")
    yield running
    running.stop()


async def first_cells(rows: Locator) -> list[str]:
    return [text.strip() for text in await rows.locator("td:first-child").all_inner_texts()]


async def there_and_back(page: Page, rows: Locator, size: int, *, further: str, back: str) -> None:
    """The next page has other rows, and the way back has those of the first page again."""
    pager = page.get_by_role("navigation", name="Pages of the list")
    ahead, behind = pager.get_by_role("button", name=further), pager.get_by_role("button", name=back)
    await expect(rows).to_have_count(size)
    await expect(behind).to_be_disabled()
    first = await first_cells(rows)
    await ahead.click()
    await expect(pager).to_contain_text("Page 2")
    await expect(rows).not_to_have_count(size)
    await expect(rows.first).to_be_visible()
    other = await first_cells(rows)
    assert other and not set(first) & set(other)
    await expect(ahead).to_be_disabled()
    await behind.click()
    await expect(pager).to_contain_text("Page 1")
    await expect(rows).to_have_count(size)
    assert await first_cells(rows) == first


@pytest.mark.parametrize(
    ("address", "table", "size", "further", "back"),
    [
        ("keys", "API keys", 100, "Next page", "Previous page"),
        ("errors?range=24h&order=FIRST_SEEN", "Kinds of errors", 50, "Next page", "Previous page"),
        ("retention?part=ledger&range=24h", "Entries of the ledger", 100, "Newer entries", "Older entries"),
    ],
)
async def test_a_list_is_gone_through_and_back(
    service: RunningService, browser: Browser, address: str, table: str, size: int, further: str, back: str
) -> None:
    """Keys, kinds of errors and entries of the ledger."""
    async with signed_in(browser, service.url, service.admin_key, address) as page:
        rows = page.get_by_role("table", name=table, exact=True).locator("tbody tr")
        await there_and_back(page, rows, size, further=further, back=back)


async def test_another_order_begins_at_the_first_page(service: RunningService, browser: Browser) -> None:
    """A cursor is of one list alone: another order or filter is not gone on with in its middle."""
    async with signed_in(browser, service.url, service.admin_key, "errors?range=24h") as page:
        pager = page.get_by_role("navigation", name="Pages of the list")
        await pager.get_by_role("button", name="Next page").click()
        await expect(pager).to_contain_text("Page 2")
        await page.get_by_text("Last seen", exact=True).first.click()
        await expect(pager).to_contain_text("Page 1")
        await expect(page.get_by_role("table", name="Kinds of errors").locator("tbody tr")).to_have_count(50)


async def test_deliveries_of_a_webhook_are_listed(service: RunningService, browser: Browser) -> None:
    """What was sent to a webhook, with what came of it, page by page."""
    async with signed_in(browser, service.url, service.admin_key, "operation?range=24h") as page:
        opens = page.get_by_role("button", name="Deliveries to https://example.com")
        await opens.click()
        rows = page.get_by_role("table", name="Deliveries to https://example.com").locator("tbody tr")
        await expect(rows.first).to_contain_text("TEST")
        await there_and_back(page, rows, 20, further="Next page", back="Previous page")
        await opens.click()
        await expect(rows).to_have_count(0)
