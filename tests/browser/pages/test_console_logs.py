"""The Logs page of the console in a real browser: what people do there, by mouse and by keys."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import console
import pytest
from console import WITHIN_MS, Demo, has_parameters, parameters
from playwright.async_api import Browser, Locator, Page, expect
from running import RunningService

CALLS = 3_000
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")
REQUEST = "trace-of-three"


def call(number: int, **facts: Any) -> dict[str, Any]:
    """One of `CALLS` calls of the last day, the newest first; every hundredth has failed."""
    moment = datetime.now(UTC) - timedelta(seconds=60 + 25 * number)
    failed = {"status": "failed", "error": {"type": "Timeout", "message": "too slow"}} if number % 100 == 99 else {}
    return {
        "id": f"c{number}",
        "started_at": moment.isoformat(timespec="milliseconds"),
        "account": "acme" if number % 3 else "globex",
        "api_key": "web",
        "provider": "anthropic" if number % 3 == 2 else "openai",
        "model": MODELS[number % 3],
        "status": "succeeded",
        "input_tokens": 100 + number,
        "output_tokens": 20,
        "latency_ms": 400,
        "time_to_first_token_ms": 100,
        "amount": "0.001",
        "currency": "USD",
        **failed,
        **facts,
    }


def one_request() -> list[dict[str, Any]]:
    """Three attempts of one request: it fails, is tried again, and another model answers."""
    start = datetime.now(UTC) - timedelta(seconds=30)
    told = {"type": "RateLimitError", "code": "429", "message": "jane.doe@example.com is over the limit"}
    parts = [
        {"name": "input", "quantity": "1000", "unit_price": "0.000003", "amount": "0.003"},
        {"name": "output", "quantity": "200", "unit_price": "0.000015", "amount": "0.003"},
    ]

    def attempt(number: int, after_s: float, **facts: Any) -> dict[str, Any]:
        moment = (start + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
        same = {"account": "acme", "trace_id": REQUEST, "attempt": number, "model": "gpt-4o", "provider": "openai"}
        return {"id": f"t{number}", "started_at": moment, "status": "failed", "latency_ms": 300, **same, **facts}

    return [
        attempt(1, 0, error=told),
        attempt(2, 1, error=told),
        attempt(
            3,
            2,
            status="succeeded",
            model="claude-sonnet-4-5",
            provider="anthropic",
            latency_ms=2000,
            time_to_first_token_ms=500,
            amount="0.006",
            currency="USD",
            amount_parts=parts,
            input_tokens=1000,
            output_tokens=200,
        ),
        attempt(4, 3, id="refund", corrects="t3", amount="-0.002", currency="USD", status="succeeded"),
    ]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = RunningService(tmp_path_factory.mktemp("console") / "data")
    key = running.new_key("ingest")
    for first in range(0, CALLS, 500):
        running.report(key, *map(call, range(first, first + 500)))
    running.report(key, *one_request())
    yield running
    running.stop()


def signed_in(
    browser: Browser, service: RunningService, key: str, address: str, zone: str = "UTC"
) -> AbstractAsyncContextManager[Page]:
    return console.signed_in(browser, service.url, key, address, zone=zone)


def rows(page: Page) -> Locator:
    return page.locator(".calls-row")


async def shows_models(page: Page, *names: str) -> None:
    """Wait until the rows in the page are of these models, of each at least one."""
    shown = page.locator(".calls-row [role=gridcell]:nth-child(3)")
    async with asyncio.timeout(WITHIN_MS / 1000):
        while {*await shown.all_inner_texts()} != {*names}:  # noqa: ASYNC110 - a browser paints it
            await asyncio.sleep(0.02)


def facet(page: Page, name: str) -> Locator:
    return page.locator(".facet", has=page.get_by_role("button", name=name)).first


async def test_a_key_is_exchanged_and_never_in_an_address(browser: Browser, service: RunningService) -> None:
    """What is sent after signing in is a token; neither it nor the key is in an address or in a store, until asked to
    be kept, and then it is the token, for this tab.
    """
    key = service.new_key("viewer", "acme")
    sent: list[str] = []
    async with console.console(Demo(service, {"viewer": key}, browser)) as opened:
        page = opened.page
        await opened.sign_in("viewer", "logs?range=7d")
        await rows(page).first.wait_for()
        page.on("request", lambda request: sent.append(f"{request.url} {request.headers.get('authorization', '-')}"))
        async with page.expect_response("**/graphql"):
            await page.keyboard.press("r")
        await opened.settled()
        stores = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert stores == "[{},{}]"
        asked = [one for one in sent if "/graphql" in one]
        assert asked and all("Bearer eyJ" in one for one in asked)
        assert key not in " ".join(sent) + page.url
        await page.reload()
        await opened.enter(key, keep=True)
        await rows(page).first.wait_for()
        kept = await page.evaluate("JSON.stringify({...sessionStorage})")
        assert "eyJ" in kept and key not in kept
        await page.reload()
        await rows(page).first.wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("API key").wait_for()
        await page.wait_for_function("sessionStorage.length === 0")


async def test_filters_are_in_the_address_and_leave_their_own_field_out(
    browser: Browser, service: RunningService
) -> None:
    """A tick filters, the address says so, its menu counts the others still, and the way back takes it back."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).first.wait_for()
        await shows_models(page, *MODELS)
        menu = facet(page, "Model")
        await menu.get_by_role("checkbox", name="gpt-4o-mini").check()
        await expect(page.locator(".summary strong")).to_have_text("1,000 calls")
        await has_parameters(page, {"model": ["gpt-4o-mini"]})
        await shows_models(page, "gpt-4o-mini")
        await expect(menu.locator(".facet-value")).to_have_count(3)
        await expect(menu.locator(".facet-value", has_text="claude").locator(".facet-count")).to_have_text("1,001")
        await expect(facet(page, "Provider").locator(".facet-value")).to_have_count(1)
        await menu.get_by_role("button", name="Leave out Model: gpt-4o-mini").click()
        await has_parameters(page, {"not.model": ["gpt-4o-mini"]})
        await expect(page.locator(".summary strong")).to_have_text("2,003 calls")
        await page.go_back()
        await page.go_back()
        await expect(page.locator(".summary strong")).to_have_text("3,003 calls")
        await has_parameters(page, {"model": None, "not.model": None})


async def test_a_press_on_a_cell_filters(browser: Browser, service: RunningService) -> None:
    """By the value that was pressed; with Alt it is left out. The call is not opened."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).get_by_text("openai", exact=True).first.click()
        await expect(page.locator(".chip")).to_contain_text("openai")
        await has_parameters(page, {"provider": ["openai"]})
        await rows(page).get_by_text("acme", exact=True).first.click(modifiers=["Alt"])
        await expect(page.locator(".summary strong")).to_have_text("1,000 calls")
        await has_parameters(page, {"not.account": ["acme"], "call": None})


async def test_the_box_filters_by_keys_alone(browser: Browser, service: RunningService) -> None:
    """`/`, some letters, Enter; `-field:` leaves out; a call's id opens nothing else than that call's row."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).first.wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("claude")
        await page.get_by_role("listbox", name="Filter calls").get_by_role("option").first.wait_for()
        await page.keyboard.press("Enter")
        await expect(page.locator(".summary strong")).to_have_text("1,001 calls")
        await page.keyboard.type("-status:failed")
        await page.keyboard.press("Enter")
        await expect(page.locator(".summary strong")).to_have_text("991 calls")
        await has_parameters(page, {"not.status": ["FAILED"]})


async def test_thousands_of_rows_and_few_in_the_page(browser: Browser, service: RunningService) -> None:
    """Scrolled from the first to the last call, no more than sixty rows are in the page at any moment."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).first.wait_for()
        oldest, most = page.get_by_role("row").filter(has_text=f"{100 + CALLS - 1:,}"), 0  # by its tokens
        async with asyncio.timeout(120):
            while not await oldest.count():
                await page.locator(".calls").evaluate("grid => grid.scrollBy(0, 2400)")
                most = max(most, await rows(page).count())
                await asyncio.sleep(0.02)
        assert 10 < most <= 60


async def test_columns_are_chosen_moved_and_kept(browser: Browser, service: RunningService) -> None:
    """In the address for who gets the link, in this browser for the next time."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        heads = page.get_by_role("columnheader")
        await rows(page).first.wait_for()
        await page.get_by_role("button", name="Columns").click()
        await page.get_by_role("dialog").get_by_role("checkbox", name="Trace").check()
        await page.get_by_role("dialog").get_by_role("checkbox", name="Provider", exact=True).uncheck()
        await page.get_by_role("button", name="Move Status to the left").click()
        await page.keyboard.press("Escape")
        await expect(heads.nth(1)).to_have_text("Time")
        names = await heads.all_inner_texts()
        assert names[:2] == ["Status", "Time"] and names[-1] == "Trace" and "Provider" not in names
        await expect(rows(page).first).to_contain_text(REQUEST)
        await page.wait_for_url(lambda url: parameters(url)["columns"][0].startswith("status,startedAt,model"))
        await page.wait_for_function("localStorage['calledger.columns'].endsWith('traceId')")


async def test_the_list_is_ordered_by_a_column(browser: Browser, service: RunningService) -> None:
    """A press on a title orders the whole list, a second one the other way round; the address says it."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).first.wait_for()
        await page.get_by_role("columnheader", name="Latency").get_by_role("button").click()
        await expect(rows(page).first).to_contain_text("2.00 s")
        await has_parameters(page, {"sort": ["latencyMs"]})
        await expect(page.get_by_role("columnheader", name="Latency")).to_have_attribute("aria-sort", "descending")
        await page.get_by_role("columnheader", name="Latency").get_by_role("button").click()
        await expect(rows(page).first).to_contain_text("300 ms")


async def test_time_is_turned_around(browser: Browser, service: RunningService) -> None:
    """The newest calls are first until the switch says otherwise; the address says it, with the call that is open."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d&model=gpt-4o-mini") as page:
        await expect(rows(page).first).to_contain_text("101")
        await rows(page).first.locator("[role=gridcell]").first.click()
        await page.wait_for_url(re.compile("call="))
        opened = parameters(page.url)["call"]
        await page.get_by_role("button", name="Newest first; change to: Oldest first").click()
        await expect(rows(page).first).to_contain_text(f"{100 + CALLS - 2:,}")
        await has_parameters(page, {"sort": ["-startedAt"], "call": opened})
        await expect(page.get_by_role("button", name="Live")).to_be_disabled()
        for top, row in ((1280, 42), (2880, 92)):
            shown = page.locator(f"[aria-rowindex='{row}']")
            async with asyncio.timeout(60):
                while not await shown.count():  # a list ends where it has been loaded to
                    await page.locator(".calls").evaluate("(grid, top) => grid.scrollTo(0, top)", top)
            await expect(shown).to_contain_text(f"{100 + CALLS - 2 - 3 * (row - 2):,}")
        await page.get_by_role("button", name="Oldest first").click()
        await expect(rows(page).first).to_contain_text("101")
        await has_parameters(page, {"sort": None})


@asynccontextmanager
async def pointing(page: Page) -> AsyncIterator[None]:
    """A pointer that is moved over the list during the block: one that rests holds nothing back for long."""

    async def move() -> None:
        for row in itertools.cycle((3, 4)):
            await rows(page).nth(row).hover()
            await asyncio.sleep(0.5)

    await rows(page).nth(3).hover()
    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)


async def test_new_calls_come_on_top_or_are_counted(browser: Browser, service: RunningService) -> None:
    """Live, calls that are recorded come on top by themselves; while somebody points at the list they are counted and
    move nothing, and a press shows them. A pointer that rests over the list by chance holds nothing back.
    """
    ingest = service.new_key("ingest")

    async def report(*names: str) -> None:
        for name in names:
            fresh = call(1, id=f"live-{name}", model=name, started_at=datetime.now(UTC).isoformat())
            await asyncio.to_thread(service.report, ingest, fresh)

    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=1h") as page:
        await rows(page).first.wait_for()
        await page.get_by_role("button", name="Live").click()
        await expect(page.locator(".live-live")).to_be_visible()
        await report("by-itself")
        await expect(rows(page).first).to_contain_text("by-itself")
        await expect(page.get_by_role("button", name="new call: show")).to_have_count(0)

        async with pointing(page):
            await report("one", "two")
            await expect(page.get_by_role("button", name="2 new calls: show")).to_be_visible()
            await expect(rows(page).first).to_contain_text("by-itself")
        await page.get_by_role("button", name="2 new calls: show").click()
        await expect(rows(page).first).to_contain_text("two")
        await expect(page.get_by_role("button", name="new calls: show")).to_have_count(0)
        await has_parameters(page, {"live": ["1"]})

        await rows(page).nth(3).hover()
        await page.clock.install()
        await page.clock.fast_forward("00:11")
        await report("beside-a-resting-pointer")
        await expect(rows(page).first).to_contain_text("beside-a-resting-pointer")


async def test_a_time_is_brushed(browser: Browser, service: RunningService) -> None:
    """A drag over the bars is that time, in the address, of the list and the bars."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=24h") as page:
        over = page.locator(".u-over")
        await over.wait_for()
        box = await over.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30, steps=5)
        await page.mouse.up()
        await page.wait_for_url(re.compile("from="))
        found = parameters(page.url)
        start, end = (datetime.fromisoformat(found[name][0]) for name in ("from", "to"))
        assert timedelta(hours=4) < end - start < timedelta(hours=6)
        assert "range" not in found
        await expect(page.locator(".range-text")).to_contain_text(found["from"][0][:10])


async def test_views_are_saved_and_opened(browser: Browser, service: RunningService) -> None:
    """A view is filter, columns, order and time under a name, in this browser; without the open call."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d&status=FAILED") as page:
        await rows(page).first.wait_for()
        await page.get_by_role("button", name="Views").click()
        await page.get_by_label("Name of the view").fill("What failed")
        await page.get_by_role("button", name="Save").click()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Clear", exact=True).click()
        await has_parameters(page, {"status": None})
        await page.get_by_role("button", name="Views").click()
        await page.get_by_role("button", name="What failed", exact=True).click()
        found = await has_parameters(page, {"status": ["FAILED"]})
        assert found == {"range": ["7d"], "status": ["FAILED"]}


async def test_one_call_by_keys_and_by_link(browser: Browser, service: RunningService) -> None:
    """Arrows and Enter open a call beside the list, J and K go on, Escape closes, and the address opens it again."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d&model=gpt-4o-mini") as page:
        await rows(page).first.wait_for()
        await page.get_by_role("grid").focus()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            await page.keyboard.press(key)
        aside = page.get_by_role("complementary", name="Call")
        await expect(aside.get_by_role("heading", name="gpt-4o-mini")).to_be_visible()
        await page.wait_for_url(re.compile("call="))
        opened = parameters(page.url)["call"]
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await expect(page.locator("[aria-rowindex='4']")).to_have_attribute("aria-selected", "true")
        await page.wait_for_url(lambda url: parameters(url)["call"] != opened)
        await page.keyboard.press("Escape")
        await expect(aside).to_have_count(0)
        await page.go_back()
    link = f"logs?call={opened[0]}"
    async with signed_in(browser, service, service.new_key("viewer"), link) as page:
        await expect(page.get_by_role("complementary").get_by_text(opened[0])).to_be_visible()


async def open_attempt(page: Page, model: str) -> Locator:
    await page.locator(".calls-row", has_text=model).first.locator("[role=gridcell]").first.click()
    aside = page.get_by_role("complementary", name="Call")
    await aside.locator(".call-figures").wait_for()
    return aside


async def test_what_a_call_cost_and_how_its_request_went(browser: Browser, service: RunningService) -> None:
    """Cost with its parts, the net amount after a correction, tokens, and the attempts of the trace in time."""
    address = f"logs?range=1h&traceId={REQUEST}&isCorrection=false"
    async with signed_in(browser, service, service.new_key("viewer"), address) as page:
        await expect(rows(page)).to_have_count(3)
        aside = await open_attempt(page, "claude")
        await expect(aside.locator(".call-figures")).to_contain_text("Net cost0.004000 USD")
        await expect(aside.locator(".call-figures")).to_contain_text("Tokens1,200")
        await expect(aside.get_by_role("heading", name="3 attempts in 4.00 s")).to_be_visible()
        names = await aside.locator(".waterfall-name").all_inner_texts()
        assert [re.sub(r"\s+", " ", name).split() for name in names] == [
            ["gpt-4o", "RateLimitError", "Failed"],
            ["gpt-4o", "retry", "RateLimitError", "Failed"],
            ["claude-sonnet-4-5", "fallback", "Succeeded"],
        ]
        parts = aside.get_by_role("region", name="Parts of the cost").get_by_role("row")
        assert [text.split("\t") for text in await parts.all_inner_texts()][1:] == [
            ["Input", "1,000", "0.000003", "0.003", "reported"],
            ["Output", "200", "0.000015", "0.003", "reported"],
        ]
        amounts = await aside.locator(".sum td").all_inner_texts()
        assert [text.lstrip("\N{MINUS SIGN}") for text in amounts] == ["0.006000 USD", "0.002000 USD", "0.004000 USD"]
        assert amounts[1].startswith("\N{MINUS SIGN}")
        await expect(aside.get_by_text("They are never stored")).to_be_visible()
        await aside.locator(".waterfall-row").first.click()
        await expect(aside.get_by_role("heading", name="RateLimitError")).to_be_visible()


async def test_what_was_masked_and_who_may_open_it(browser: Browser, service: RunningService) -> None:
    """The message marks what was taken out by its rule. Who may, opens it with a reason; others are not offered to."""
    address = f"logs?range=1h&traceId={REQUEST}&status=FAILED"
    async with signed_in(browser, service, service.new_key("viewer"), address) as page:
        aside = await open_attempt(page, "gpt-4o")
        await expect(aside.locator(".message mark")).to_contain_text("email")
        assert "jane.doe" not in await page.content()
        await expect(aside.get_by_role("region", name="What was taken out")).to_contain_text("email")
        await expect(aside.get_by_role("button", name="Reveal")).to_have_count(0)
    async with signed_in(browser, service, service.new_key("support"), address) as page:
        aside = await open_attempt(page, "gpt-4o")
        await expect(aside.get_by_role("button", name="Reveal")).to_be_disabled()
        await aside.get_by_label("Reason to open what is masked").fill("ticket 17")
        await aside.get_by_role("button", name="Reveal").click()
        await expect(aside.locator(".message")).to_contain_text("jane.doe@example.com")
        await expect(aside.get_by_text("as entry")).to_be_visible()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("logs?range=1h&model=none-such", "No call matches"),
        ("logs?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z", "This time is past what is kept"),
    ],
)
async def test_why_there_is_nothing(browser: Browser, service: RunningService, address: str, said: str) -> None:
    """No match and out of retention are told apart, each with what to do."""
    async with signed_in(browser, service, service.new_key("viewer"), address) as page:
        await expect(page.locator(".empty")).to_contain_text(said)
        await page.locator(".empty").get_by_role("button", name="Last 7 days").click()
        await has_parameters(page, {"range": ["7d"]})


async def test_an_empty_ledger_says_how_to_report(browser: Browser, tmp_path: Path) -> None:
    """No data yet is another thing than no match."""
    empty = await asyncio.to_thread(RunningService, tmp_path / "data")
    try:
        async with signed_in(browser, empty, empty.new_key("viewer"), "logs") as page:
            await expect(page.locator(".empty")).to_contain_text("No call has been recorded yet")
            await expect(page.locator(".empty")).to_contain_text("/v1/calls")
    finally:
        await asyncio.to_thread(empty.stop)


async def test_a_role_sees_its_own_pages(browser: Browser, service: RunningService) -> None:
    """An auditor has no Logs, by navigation or by address; a partner has those of its accounts."""
    async with signed_in(browser, service, service.new_key("auditor"), "logs") as page:
        await expect(page.locator(".empty")).to_contain_text("may not see this page")
        await expect(page.get_by_role("link", name="Logs")).to_have_count(0)
    async with signed_in(browser, service, service.new_key("partner", "globex"), "logs?range=7d") as page:
        await expect(page.locator(".summary strong")).to_have_text("1,000 calls")
        await expect(facet(page, "Account").locator(".facet-value")).to_have_count(1)


async def test_the_words_are_chinese_and_the_theme_is_dark(browser: Browser, service: RunningService) -> None:
    """Language and theme are chosen, apply at once, and are there again after a reload; the zone too."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d", "Asia/Kolkata") as page:
        await rows(page).first.wait_for()
        await page.get_by_text("UTC", exact=True).click()
        utc = await rows(page).first.locator("[role=gridcell]").first.inner_text()
        await page.get_by_text("Local", exact=True).click()
        await expect(rows(page).first.locator("[role=gridcell]").first).not_to_have_text(utc)
        await page.get_by_label("Language").select_option("zh-CN")
        await expect(page.get_by_role("heading", level=1)).to_have_text("日志")
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        for _ in range(2):
            await page.get_by_role("button", name="主题").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_have_text("日志")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_an_error_is_said_with_its_id_and_asked_again(browser: Browser, service: RunningService) -> None:
    """A request that fails says so in words, with a request id and a retry that works."""
    async with signed_in(browser, service, service.new_key("viewer"), "logs?range=7d") as page:
        await rows(page).first.wait_for()
        answer = {"errors": [{"message": "too slow", "extensions": {"code": "TIMEOUT", "requestId": "req-17"}}]}

        async def fail(route: Any) -> None:
            if "CallPage" in (route.request.post_data or ""):
                await route.fulfill(json=answer)
            else:
                await route.continue_()

        await page.route("**/graphql", fail)
        await page.keyboard.press("r")
        await expect(page.get_by_role("alert")).to_contain_text("This took too long")
        await expect(page.get_by_role("alert")).to_contain_text("req-17")
        await page.unroute("**/graphql")
        await page.get_by_role("button", name="Try again").click()
        await rows(page).first.wait_for()
