"""The console's pages of keys, of operation and of exports: what is done on them is done, and by whom it may be."""

import asyncio
import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console import PHONE, assert_accessible_everywhere, signed_in
from playwright.async_api import Browser, expect
from running import RunningService

AN_HOUR_LATER = "() => { const now = Date.now; Date.now = () => now() + 3_600_000 }"


def call(number: int, **facts: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(minutes=number)
    named = {"id": f"k{number}", "started_at": moment.isoformat(timespec="milliseconds"), "account": "acme"}
    return {**named, "model": f"m{number % 2}", "status": "succeeded", **facts}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("pages") / "data")
    running.report(running.admin_key, *(call(number) for number in range(1, 7)), {"id": "bad"}, "nonsense")
    running.ask(
        running.admin_key,
        'mutation { createWebhook(input: {url: "https://example.com/hook", name: "pager", events: [ERROR_RATE_SPIKE]})'
        " { webhook { id } } }",
    )
    yield running
    running.stop()


async def test_a_key_is_made_shown_once_replaced_and_ended(service: RunningService, browser: Browser) -> None:
    """The secret is in the page once and works; its replacement works too; once ended, neither page nor key has it."""
    async with signed_in(browser, service.url, service.admin_key, "keys") as page:
        await page.get_by_role("button", name="Create a key").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Role").select_option("VIEWER")
        await dialog.get_by_label("What it is for").fill("reports")
        await dialog.get_by_label("Accounts").fill("acme")
        await dialog.get_by_role("button", name="Create a key").click()
        secret = await dialog.locator("code").inner_text()
        assert (await asyncio.to_thread(service.ask, secret, "{ viewer { role } }"))["data"]["viewer"] == {
            "role": "VIEWER"
        }
        await dialog.get_by_role("button", name="I have kept it").click()
        row = page.get_by_role("row", name=re.compile("reports"))
        await expect(row).to_contain_text(re.compile("Viewer.*acme.*Live"))
        assert secret not in await page.content()

        await row.get_by_role("button", name=re.compile("Rotate")).click()
        await dialog.get_by_label("Hours for which the old key still works").fill("1")
        await dialog.get_by_role("button", name="Rotate", exact=True).click()
        other = await dialog.locator("code").inner_text()
        await dialog.get_by_role("button", name="I have kept it").click()
        rows = page.get_by_role("row", name=re.compile("reports"))
        await expect(rows).to_have_count(2)
        await rows.filter(has_text=other.split("_")[1]).get_by_role("button", name=re.compile("Revoke")).click()
        await dialog.get_by_role("button", name="Revoke for good").click()
        await expect(rows.filter(has_text=other.split("_")[1])).to_contain_text("Revoked")
        answer = await asyncio.to_thread(service.ask, other, "{ viewer { role } }")
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_operation_shows_health_refusals_and_webhooks(service: RunningService, browser: Browser) -> None:
    """The database answers, no key is lost, and what was refused stands by its reason."""
    async with signed_in(browser, service.url, service.admin_key, "operation?range=24h") as page:
        await expect(page.locator(".figure", has_text="Service and database")).to_contain_text("Ready")
        await expect(page.locator(".figure", has_text="Keyring")).to_contain_text("0 lost")
        refused = page.get_by_role("table", name="2 calls and requests, by reason").locator("tbody tr")
        await expect(refused).to_have_count(2)
        await expect(refused.filter(has_text="FIELD_MISSING")).to_contain_text("native")
        await expect(page.get_by_role("table", name="Webhooks")).to_contain_text("pager")


async def test_a_refresh_asks_for_everything_anew(service: RunningService, browser: Browser) -> None:
    """By the button and by `r`, of pages that are about no time too: what has happened since is there."""
    async with signed_in(browser, service.url, service.admin_key, "keys") as page:
        keys = page.get_by_role("table", name="API keys").locator("tbody tr")
        await expect(keys.first).to_be_visible()
        count = await keys.count()
        await asyncio.to_thread(service.new_key, "viewer")
        await page.get_by_role("button", name="Refresh").click()
        await expect(keys).to_have_count(count + 1)
        await asyncio.to_thread(service.new_key, "viewer")
        await page.locator("main").press("r")
        await expect(keys).to_have_count(count + 2)
        # Their moments are of a zone, which is said and can be changed.
        made = keys.first.locator("time").first
        local = await made.inner_text()
        await page.get_by_role("group", name="Time zone").get_by_text("UTC").click()
        await expect(made).not_to_have_text(local)
    async with signed_in(browser, service.url, service.admin_key, "operation?range=24h") as page:
        await expect(page.get_by_role("table", name="Webhooks")).to_be_visible()
        async with page.expect_request(lambda request: "query Receivers" in (request.post_data or "")):
            await page.get_by_role("button", name="Refresh").click()


async def test_what_is_filtered_is_exported_and_downloaded(service: RunningService, browser: Browser) -> None:
    """The filter of the address becomes a file of these rows alone; it is removed, and a schedule made and stopped."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "exports?range=24h&model=m1") as page:
        await expect(page.get_by_text("No exports yet.")).to_be_visible()
        await expect(page.get_by_text("It will have 3 rows.")).to_be_visible()
        await page.get_by_role("button", name="Export", exact=True).click()
        row = page.get_by_role("table", name="Exports").locator("tbody tr")
        await expect(row).to_contain_text("Ready", timeout=60_000)
        async with page.expect_download() as waiting:
            await row.get_by_role("link", name="Download").click()
        text = (await (await waiting.value).path()).read_text("utf-8")
        assert [one["model"] for one in csv.DictReader(io.StringIO(text))] == ["m1"] * 3
        await row.get_by_role("button", name="Remove").click()
        await expect(row).to_contain_text("Gone")
        await page.get_by_text("Each month", exact=True).click()
        await page.get_by_role("button", name="Schedule").click()
        schedules = page.get_by_role("table", name="Schedules").locator("tbody tr")
        await expect(schedules).to_contain_text("Each month")
        await schedules.get_by_role("button", name="Stop").click()
        await expect(
            schedules.filter(has_text="Each month").filter(has_text=str(datetime.now(UTC).year))
        ).to_have_count(0)


async def test_a_link_that_has_stood_for_an_hour_is_asked_for_anew(service: RunningService, browser: Browser) -> None:
    """Links end after an hour: a press on an older one asks for another, and downloads; what is gone is said to be."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "exports?range=24h&model=m1", size=PHONE) as page:
        await page.get_by_role("button", name="Export", exact=True).click()
        row = page.get_by_role("table", name="Exports").locator("tbody tr")
        link = row.get_by_role("link", name="Download")
        await expect(link).to_be_in_viewport(ratio=1)  # on a phone, too
        first = await link.get_attribute("href")
        async with page.expect_download() as waiting:
            await link.click()
        assert (await waiting.value).url == first
        await page.evaluate(AN_HOUR_LATER)
        async with page.expect_download() as waiting:
            await link.click()
        second = await waiting.value
        assert second.url != first
        await expect(link).to_have_attribute("href", second.url)
        assert len((await second.path()).read_text("utf-8").splitlines()) == 4

        asked = "{ exports(first: 1) { nodes { id } } }"
        id_ = (await asyncio.to_thread(service.ask, viewer, asked))["data"]["exports"]["nodes"][0]["id"]
        cancel = f'mutation {{ cancelExport(id: "{id_}") {{ export {{ id }} }} }}'
        await asyncio.to_thread(service.ask, viewer, cancel)
        await page.evaluate(AN_HOUR_LATER)
        await link.click()
        await expect(row).to_contain_text("Gone")
        await expect(link).to_have_count(0)


async def test_who_may_not_has_no_such_page(service: RunningService, browser: Browser) -> None:
    """A viewer has neither keys nor operation; one that reports has no exports."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    for path in ("keys", "operation"):
        async with signed_in(browser, service.url, viewer, path) as page:
            await expect(page.get_by_text("The role Viewer may not see this page.")).to_be_visible()
    ingest = await asyncio.to_thread(service.new_key, "ingest")
    async with signed_in(browser, service.url, ingest, "exports") as page:
        await expect(page.get_by_text("The role Ingest may not see this page.")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "ready"),
    [("keys", ".plain-table"), ("operation?range=24h", ".plain-table"), ("exports?range=24h&model=m1", ".export-form")],
)
async def test_they_are_accessible(service: RunningService, browser: Browser, path: str, ready: str) -> None:
    """axe-core finds nothing, in both themes and languages, and on a phone."""
    await assert_accessible_everywhere(browser, service.url, service.admin_key, path, ready)
