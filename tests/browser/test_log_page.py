"""`examples/log-page`, built as its page says, in a real browser."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import pages
from packages import SOURCES, installed, run
from playwright.async_api import Browser, Page, expect
from running import RunningService

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "log-page"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def programs() -> Path:
    return installed() / ".bin"


@pytest.fixture(scope="module")
def page_text(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page with its program in it: type-checked, bundled, and with the packages that it names."""
    folder = tmp_path_factory.mktemp("log-page")
    for file in EXAMPLE.iterdir():
        if file.suffix in (".ts", ".html", ".json"):
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "node_modules").symlink_to(programs.parent)
    checked = run(programs / "tsc", "-p", ".", folder=folder)
    assert (checked.returncode, checked.stdout) == (0, "")
    built = run(programs / "esbuild", "page.ts", "--bundle", "--format=esm", "--minify", folder=folder)
    assert built.returncode == 0, built.stderr
    tag = '<script type="module" src="page.js"></script>'
    text = (folder / "index.html").read_text()
    assert tag in text and "</script" not in built.stdout
    return text.replace(tag, f'<script type="module">{built.stdout}</script>')


def call(number: int, **facts: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(minutes=number)
    named = {"id": f"c{number}", "started_at": moment.isoformat(timespec="milliseconds"), "account": "acme"}
    return {**named, "model": f"m{number}", "status": "succeeded", **facts}


async def show(page: Page, service: RunningService, token: str, status: str = "") -> None:
    await page.get_by_label("Service").fill(service.url)
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Status").select_option(status)
    await page.get_by_role("button", name="Show", exact=True).click()


async def test_the_page_lists_pages_and_says_what_is_new(browser: Browser, page_text: str, tmp_path: Path) -> None:
    """By a session token of an account: its calls in pages, those of a filter, new ones as they come, and errors."""
    async with await browser.new_context() as context, pages({"/": page_text}) as origin:
        environment = {"CALLEDGER_CORS_ORIGINS": origin}
        service = await asyncio.to_thread(RunningService, tmp_path / "data", environment=environment)
        try:
            calls = [call(number, **({"status": "failed"} if number % 20 == 1 else {})) for number in range(1, 61)]
            service.report(service.admin_key, *calls, call(99, account="other"))
            made = service.ask(
                service.admin_key,
                'mutation { createSessionToken(input: {accounts: ["acme"], role: VIEWER}) { token } }',
            )
            token = made["data"]["createSessionToken"]["token"]
            page = await context.new_page()
            page.set_default_timeout(WAIT_MS)
            rows = page.locator("#calls tr")
            await page.goto(origin)

            await show(page, service, token)
            await expect(rows).to_have_count(50, timeout=WAIT_MS)
            await page.get_by_role("button", name="Older").click()
            await expect(rows).to_have_count(60, timeout=WAIT_MS)
            await expect(page.get_by_role("button", name="Older")).to_be_hidden()
            await expect(rows.locator("td:nth-child(3)")).to_have_text([f"m{n}" for n in range(1, 61)], timeout=WAIT_MS)

            await show(page, service, token, "FAILED")
            await expect(rows).to_have_count(3, timeout=WAIT_MS)
            new = page.locator("#new")
            number = 1000
            async with asyncio.timeout(60):
                while await new.is_hidden():
                    number += 1
                    service.report(service.admin_key, call(-number, id=f"n{number}", status="failed", started_at=now()))
                    await asyncio.sleep(0.5)
            await new.click()
            await expect(rows.nth(3)).to_be_visible(timeout=WAIT_MS)
            await expect(rows.first.locator("td:nth-child(4)")).to_have_text("FAILED", timeout=WAIT_MS)

            await show(page, service, "cl_wrong")
            await expect(page.get_by_role("alert")).to_contain_text("UNAUTHENTICATED", timeout=WAIT_MS)
        finally:
            await asyncio.to_thread(service.stop)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def test_the_example_names_the_packages_that_are_tried() -> None:
    """Its versions are exact, and those of the lockfile that the tests install."""
    named = json.loads((EXAMPLE / "package.json").read_text())
    tried = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    versions = named["dependencies"] | named["devDependencies"]
    assert versions == {name: tried[name] for name in versions}
