"""The console's page of costs, as a viewer and an admin see it, and as an auditor does not."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console import assert_accessible_everywhere, has_parameters, signed_in
from playwright.async_api import Browser, expect
from running import RunningService


def call(number: int, hours_ago: float, **facts: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(hours=hours_ago)
    return {
        "id": f"c{number}",
        "started_at": moment.isoformat(timespec="milliseconds"),
        "account": "acme",
        "model": "gpt-4o",
        "status": "succeeded",
        "input_tokens": 900,
        "output_tokens": 100,
        "cache_read_tokens": 450,
        "latency_ms": 2000,
        **facts,
    }


def paid(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


CALLS = (
    call(1, 1, **paid("0.30"), tags={"team": "search"}),
    call(2, 2, **paid("0.10"), model="gpt-4o-mini", tags={"team": "growth"}),
    call(3, 3, **paid("0.05"), status="failed", error={"type": "Timeout", "message": "late"}),
    call(4, 2, **paid("7.00", "EUR"), model="mistral-large"),
    call(5, 2, model="local"),
    call(6, 30, **paid("0.20")),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("costs") / "data")
    running.report(running.admin_key, *CALLS)
    running.ask(
        running.admin_key,
        'mutation { setBudget(input: {account: "acme", currency: "USD", amount: "0.40"}) { budget { id } } }',
    )
    yield running
    running.stop()


async def test_costs_are_exact_by_currency_and_lead_to_their_calls(service: RunningService, browser: Browser) -> None:
    """Totals beside the period before, groups, the chart's table, equal tokens and budgets: all of one currency."""
    key = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, key, "costs?range=24h") as page:
        cost = page.locator(".figure", has_text="Cost").first
        await expect(cost).to_contain_text("0.45 USD")
        await expect(cost).to_contain_text("+125%")  # 0.20 the day before
        await expect(page.locator(".figure", has_text="Spent on failures")).to_contain_text("0.050 USD")
        await expect(page.locator(".figure", has_text="Input from cache")).to_contain_text("50%")
        await expect(page.get_by_text("1 call in this time has no amount")).to_be_visible()

        groups = page.get_by_role("table", name="Costs by model, USD").locator("tbody tr")
        await expect(groups).to_have_count(2)
        await expect(groups.nth(0)).to_contain_text(re.compile("gpt-4o.*0.35.*78%"))
        equal = page.get_by_role("table", name="Models at equal tokens, USD").locator("tbody tr")
        await expect(equal.nth(0)).to_contain_text(re.compile("gpt-4o-mini.*100.00"))
        await expect(equal.nth(1)).to_contain_text(re.compile("gpt-4o.*175.00.*50%.* s"))
        await expect(page.get_by_role("table", name="Budgets of today (UTC)")).to_contain_text("0.40")

        await expect(page.get_by_role("table", name="Costs by model and account, USD")).to_contain_text("acme")
        await page.get_by_role("combobox", name="Columns").select_option("tag.team")
        crossed = page.get_by_role("table", name="Costs by model and tag team, USD").locator("tr")
        none = "\N{EN DASH}"
        rows = [["Model", "search", "growth", "All others", "Total"], ["gpt-4o", "0.30", none, "0.050", "0.35"]]
        rows += [["gpt-4o-mini", none, "0.10", none, "0.10"], ["Total", "0.30", "0.10", "0.050", "0.45"]]
        await expect(crossed).to_have_count(len(rows))
        for row, cells in enumerate(rows):
            await expect(crossed.nth(row).locator("th, td")).to_contain_text(cells)
        await crossed.get_by_role("link", name="0.10").click()
        await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
        wanted = {"model": ["gpt-4o-mini"], "tag.team": ["growth"], "currency": ["USD"], "range": ["24h"]}
        assert await has_parameters(page, {"model": ["gpt-4o-mini"]}) == wanted
        await expect(page.locator(".calls-row")).to_have_count(1)
        await page.go_back()

        timeline = page.get_by_role("table", name="Cost over time, USD")
        await expect(timeline.get_by_role("cell", name="0.30").first).to_be_visible()
        await expect(timeline.locator("tfoot")).to_contain_text(re.compile(r"Total.*0\.45.*0\.20.*\+125%"))

        await page.get_by_role("radio", name="EUR").check(force=True)
        await expect(cost).to_contain_text("7.00 EUR")
        await page.get_by_role("combobox", name="By").select_option("tag.team")
        await page.get_by_role("radio", name="USD").check(force=True)
        tagged = page.get_by_role("table", name="Costs by tag team, USD").locator("tbody tr")
        await expect(tagged).to_have_count(3)
        await tagged.get_by_role("link", name="growth").click()
        await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
        asked = await has_parameters(page, {"tag.team": ["growth"]})
        assert asked == {"range": ["24h"], "currency": ["USD"], "tag.team": ["growth"]}


async def test_what_has_no_amount_models_and_budgets_lead_to_their_calls(
    service: RunningService, browser: Browser
) -> None:
    """Calls that are in no sum can be looked at, and those of a compared model, and of a budget's day."""
    async with signed_in(browser, service.url, service.admin_key, "costs?range=24h") as page:
        await page.get_by_role("link", name="Show them in the logs").click()
        await expect(page.locator(".calls-row")).to_have_count(1)
        await expect(page.locator(".calls-row")).to_contain_text("local")
        await page.wait_for_url(re.compile(r"range=24h&currency=$"))
        await page.go_back()
        equal = page.get_by_role("table", name="Models at equal tokens, USD")
        await equal.get_by_role("link", name="gpt-4o-mini").click()
        asked = {"range": ["24h"], "currency": ["USD"], "model": ["gpt-4o-mini"]}
        assert await has_parameters(page, asked) == asked
        await page.go_back()
        begun = datetime.now(UTC).date().isoformat()
        budgets = page.get_by_role("table", name="Budgets of today (UTC)")
        await budgets.get_by_role("link", name="acme").click()
        asked = {"from": [f"{begun}T00:00:00.000Z"], "account": ["acme"], "currency": ["USD"]}
        if begun == datetime.now(UTC).date().isoformat():
            assert await has_parameters(page, asked) == asked


async def test_days_are_rows_that_lead_to_their_calls(service: RunningService, browser: Browser) -> None:
    """By day there is a row for each day of the zone, those without calls included, and their sum; a day leads to as
    many calls as it says, and no table says twice what this one does.
    """
    async with signed_in(browser, service.url, service.admin_key, "costs?range=3d&money=USD") as page:
        await page.get_by_role("combobox", name="By").select_option("day")
        days = page.get_by_role("table", name="Costs by day, USD")
        await expect(days.locator("tbody tr")).to_have_count(4)
        await expect(days.locator("tfoot")).to_contain_text(re.compile(r"Total.*0\.65.*4"))
        await expect(page.locator(".chart .u-over")).to_be_visible()
        await expect(page.get_by_role("table", name="Cost over time, USD")).to_have_count(0)
        await expect(page.get_by_role("combobox", name="Columns")).to_have_count(0)
        await expect(page.get_by_role("table", name="Models at equal tokens, USD")).to_be_visible()
        row = days.locator("tbody tr").filter(has_not=page.get_by_role("cell", name="0", exact=True)).last
        calls = int(await row.locator("td").nth(3).inner_text())
        await row.get_by_role("link").click()
        await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
        await expect(page.locator(".calls-row")).to_have_count(calls)


def zone_of_noon() -> str:
    """A zone in which it is noon, so that calls of some hours ago are of this day and month."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


async def test_a_month_is_that_of_the_calendar(service: RunningService, browser: Browser) -> None:
    """It begins with the first day of the zone, stays so in the address, and is beside the month before."""
    address = "costs?range=24h&by=day&money=USD"
    async with signed_in(browser, service.url, service.admin_key, address, zone=zone_of_noon()) as page:
        await page.get_by_role("button", name="Last 24 hours").click()
        await page.get_by_role("button", name="This month").click()
        await expect(page.get_by_role("button", name="This month")).to_be_visible()
        days = page.get_by_role("table", name="Costs by day, USD").locator("tbody tr td:first-child")
        await expect(days.first).to_have_text(re.compile(r"^\d{4}-\d\d-01$"))
        shown = await days.all_inner_texts()
        assert [int(day[-2:]) for day in shown] == list(range(1, len(shown) + 1))
        await has_parameters(page, {"range": ["month"]})


async def test_the_table_of_the_chart_is_hidden_by_choice(service: RunningService, browser: Browser) -> None:
    """It stays hidden on the next visit, until somebody wants it again."""
    async with signed_in(browser, service.url, service.admin_key, "costs?range=24h") as page:
        shown = page.locator(".panel-table")
        await expect(shown).to_have_count(1)
        await page.get_by_role("button", name="Hide the table").click()
        await expect(shown).to_have_count(0)
        await page.reload()
        await page.get_by_role("button", name="Show the table").click()
        await expect(shown).to_have_count(1)


async def test_costs_are_filtered_and_exported_where_they_stand(service: RunningService, browser: Browser) -> None:
    """The box filters the page by keys alone, and an export of costs takes the filter along."""
    async with signed_in(browser, service.url, service.admin_key, "costs?range=24h&money=USD") as page:
        cost = page.locator(".figure", has_text="Cost").first
        await expect(cost).to_contain_text("0.45 USD")
        await page.keyboard.press("/")
        await page.keyboard.type("model:mini")
        await expect(page.get_by_role("listbox").get_by_role("option").first).to_contain_text("gpt-4o-mini")
        await page.keyboard.press("Enter")
        await expect(cost).to_contain_text("0.10 USD")
        await page.keyboard.press("Escape")
        await page.get_by_role("link", name="Export", exact=True).click()
        await expect(page.get_by_role("radio", name="Costs")).to_be_checked()
        await expect(page.locator(".chips .chip")).to_contain_text("gpt-4o-mini")


async def test_a_bar_opens_its_calls(service: RunningService, browser: Browser) -> None:
    """A press on a bar leads to the list of its hour, in its currency, and the way back leads back."""
    async with signed_in(browser, service.url, service.admin_key, "costs?range=24h&money=EUR") as page:
        over = page.locator(".chart .u-over")
        await expect(over).to_be_visible()
        box = await over.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
        await expect(page.get_by_role("heading", name="Logs")).to_be_visible()
        asked = await has_parameters(page, {"currency": ["EUR"]})
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("from", "to"))
        assert end - start == timedelta(hours=1)
        await page.go_back()
        await expect(page.get_by_role("heading", name="Costs", exact=True)).to_be_visible()


async def test_no_calls_a_purged_time_and_no_permission_are_told_apart(
    service: RunningService, browser: Browser
) -> None:
    """Each says what it is; an auditor has no page of costs."""
    async with signed_in(browser, service.url, service.admin_key, "costs?range=24h&model=nothing") as page:
        await expect(page.get_by_text("No call matches")).to_be_visible()
        await page.get_by_role("button", name="Clear the filters").click()
        await expect(page.locator(".figure").first).to_contain_text("0.45 USD")
    async with signed_in(browser, service.url, service.admin_key, "costs?from=2015-01-01T00:00:00Z&by=user") as page:
        await expect(page.get_by_text("This time is past what is kept")).to_be_visible()
    auditor = await asyncio.to_thread(service.new_key, "auditor")
    async with signed_in(browser, service.url, auditor, "costs") as page:
        await expect(page.get_by_text("The role Auditor may not see this page.")).to_be_visible()
        await expect(page.get_by_role("link", name="Costs")).to_have_count(0)


async def test_costs_are_accessible(service: RunningService, browser: Browser) -> None:
    """axe-core finds nothing, in both themes and on a phone."""
    await assert_accessible_everywhere(
        browser, service.url, service.admin_key, "costs?range=24h", ".panel:nth-of-type(3)"
    )
