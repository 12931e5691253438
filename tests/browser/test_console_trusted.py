"""The console of a service that answers trusted documents alone."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from console import signed_in
from playwright.async_api import Browser, expect
from running import RunningService

CALL = {"model": "gpt-4o", "status": "failed", "account": "acme", "error": {"type": "Timeout", "message": "slow"}}
MINE = "{ viewer { role } }"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("trusted")
    file = folder / "documents.json"
    file.write_text(json.dumps({"mine": MINE}))
    trusted = {"CALLEDGER_TRUSTED_DOCUMENTS": str(file), "CALLEDGER_TRUSTED_ONLY": "true"}
    running = RunningService(folder / "data", environment=trusted)
    running.report(running.admin_key, {**CALL, "id": "t1", "started_at": datetime.now(UTC).isoformat()})
    yield running
    running.stop()


def status_of(service: RunningService, text: str) -> int:
    body, accept = json.dumps({"query": text}).encode(), {"Accept": "application/graphql-response+json"}
    return service.request("POST", "/graphql", key=service.admin_key, body=body, headers=accept)[0]


async def test_every_page_asks_what_it_asks_elsewhere(browser: Browser, service: RunningService) -> None:
    """Each page of an administrator is answered, a call is opened, and live tail listens; other texts are refused."""
    async with signed_in(browser, service.url, service.admin_key, "logs?range=1h&live=1") as page:
        await page.locator(".calls-row").first.click()
        await expect(page.locator("aside.call")).to_contain_text("Timeout")
        await expect(page.locator(".live-mark.live-live")).to_be_attached()
        await expect(page.locator("nav.navigation a.navigation-link")).to_have_count(8)
        for link in await page.locator("nav.navigation a.navigation-link").all():
            await link.click()
            await expect(page.locator("main#page .page-body, main#page [role=grid]").first).to_be_visible()
            await expect(page.locator(".waiting-line, [aria-busy=true]")).to_have_count(0)
            await expect(page.locator(".problem")).to_have_count(0)
    texts = json.loads((Path(__file__).parents[2] / "service/console/dist/documents.json").read_text())
    asked = [MINE, texts["Who"], texts["Who"] + " ", "{ __typename }"]
    assert [await asyncio.to_thread(status_of, service, text) for text in asked] == [200, 200, 403, 403]
