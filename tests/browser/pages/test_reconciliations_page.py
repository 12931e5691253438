"""The console's page of reconciliations, and the sources on that of operation: what was compared, and who sees it."""

import asyncio
import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from console import PHONE, assert_accessible_everywhere, has_parameters, picture, signed_in, texts
from newapi import consumed, sqlite_of
from playwright.async_api import Browser, Page, expect
from running import RunningService

NOON: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
DAY: Final = NOON.date().isoformat()


@dataclass(slots=True)
class Compared:
    """A service that pulled a log, of which a call went, one came and one got dearer before it was compared."""

    service: RunningService
    viewer: str
    auditor: str


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("reconciled")
    log = folder / "logs.db"
    rows = [consumed(id_, created_at=int(NOON.timestamp()) + id_, use_time=0) for id_ in range(1, 11)]
    address = sqlite_of(log, "new-api 1.0", rows)
    service = RunningService(folder / "data")
    try:
        for arguments in (
            ("sources", "add", "shop", "new-api", address, "--account", "shop", "--every", "1h"),
            ("pull", "shop"),
        ):
            done = service.command(*arguments)
            assert done.returncode == 0, done.stderr
        with closing(sqlite3.connect(log)) as connection, connection:
            connection.execute("UPDATE logs SET quota = 500000 WHERE id = 3")
            connection.execute("DELETE FROM logs WHERE id = 5")
            connection.execute("UPDATE logs SET id = 77 WHERE id = 9")
        asked = ("reconcile", f"sqlite:///{log}", "--from", "new-api", "--since", DAY, "--until", DAY)
        assert service.command(*asked, "--account", "shop").returncode == 1
        yield Compared(service, service.new_key("viewer"), service.new_key("auditor"))
    finally:
        service.stop()


async def downloaded(page: Page, format_: str, path: Path) -> str:
    async with page.expect_download() as waited:
        await page.get_by_role("button", name=format_).click()
    download = await waited.value
    assert download.suggested_filename.endswith(f"{DAY}-{DAY}.{format_.lower()}")
    await download.save_as(path)
    return await asyncio.to_thread(path.read_text, "utf-8")


async def test_what_differs_is_found_filtered_and_taken_away(
    compared: Compared, browser: Browser, tmp_path: Path
) -> None:
    """From the costs to the comparison, to its differences of one kind, to a file of them, and to the call itself."""
    async with signed_in(browser, compared.service.url, compared.viewer, "costs?range=7d") as page:
        await expect(page.get_by_text("4 calls differ.")).to_be_visible()
        await page.get_by_text("Last compared with").get_by_role("link").click()
        await has_parameters(page, {"range": ["7d"]})
        report = page.get_by_role("region", name="Comparison with").first
        rows = report.get_by_role("table").locator("tbody tr")
        await expect(rows).to_have_count(3)
        await picture(page, "reconciliation")
        await report.get_by_role("checkbox", name="Recorded, not billed").check()
        await expect(rows).to_have_count(1)
        await page.wait_for_url(re.compile("kind=MISSING_THERE"))
        cells = texts(await rows.locator("td").all_inner_texts())
        assert cells[:5] == [DAY, "Recorded, not billed", "gpt-4o", "2", "0.00"]

        [line] = csv.DictReader((await downloaded(page, "CSV", tmp_path / "a.csv")).splitlines())
        assert (line["kind"], line["calls"], line["theirs"], line["currency"]) == ("MISSING_THERE", "2", "0", "USD")
        await report.get_by_role("checkbox", name="Recorded, not billed").uncheck()
        await expect(rows).to_have_count(3)
        whole = json.loads(await downloaded(page, "JSON", tmp_path / "a.json"))
        assert sorted(one["kind"] for one in whole["differences"]) == [
            *("MISSING_HERE", "MISSING_THERE", "PRICED_DIFFERENTLY"),
        ]
        assert whole["differing"] == 4

        id_ = line["callIds"].split()[0]
        await report.get_by_role("link", name=f"Open the call {id_}").click()
        await expect(page.locator("aside.call .call-title")).to_contain_text(id_)
        # Beside it are the calls of its model and day, from midnight to midnight.
        asked = await has_parameters(page, {"model": ["gpt-4o"], "call": [id_], "range": None})
        assert asked["from"] == [f"{DAY}T00:00:00.000Z"]
        assert asked["to"] == [f"{NOON + timedelta(days=1):%Y-%m-%d}T00:00:00.000Z"]


async def test_how_far_gateways_were_read_is_for_those_who_may(compared: Compared, browser: Browser) -> None:
    """An auditor sees the source, its newest call and lag, and no comparison; a viewer comparisons, and no source."""
    async with signed_in(browser, compared.service.url, compared.auditor, "operation", size=PHONE) as page:
        row = page.get_by_role("region", name="Pulled gateways").locator("tbody tr")
        await expect(row).to_be_visible()
        cells = texts(await row.locator("td").all_inner_texts())
        assert cells[:2] == ["shop new-api", "OK"]
        assert cells[2].startswith("sqlite:")
        assert cells[4].startswith(DAY)
        await page.goto(f"{compared.service.url}/console/reconciliations")
        await expect(page.locator(".empty")).to_contain_text("may not see this page")
    async with signed_in(browser, compared.service.url, compared.viewer, "logs") as page:
        await expect(page.get_by_role("link", name="Reconciliations")).to_be_visible()
        await expect(page.get_by_role("link", name="Operation")).to_have_count(0)


async def test_they_are_accessible(compared: Compared, browser: Browser) -> None:
    """No barrier in both themes and languages, on a screen and on a phone, with a report open."""
    query = "{ reconciliations { nodes { id } } }"
    [found] = compared.service.ask(compared.viewer, query)["data"]["reconciliations"]["nodes"]
    # What is no kind of difference is not asked for.
    path = f"reconciliations?reconciliation={found['id']}&kind=toString&kind=colour"
    await assert_accessible_everywhere(browser, compared.service.url, compared.viewer, path, ".recon tbody tr")
