"""The calls of a trace beside a call: within each other by their spans, whatever export they came with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from console import PHONE, Console, Demo, console, texts
from playwright.async_api import expect
from tracing import as_protobuf, chat, export

TRACE = "5c" * 16
FAILED = {"error.type": "RateLimitError", "http.response.status_code": "429"}
# A router (1) has tried one model twice and then another; the last attempt has asked for embeddings on its way.
SPANS = (
    chat(1, {"gen_ai.request.model": "auto"}, parent=99, seconds=4),
    chat(2, FAILED, parent=1, seconds=0.4, failed="Rate limit reached"),
    chat(3, FAILED, parent=1, seconds=0.6, failed="Rate limit reached"),
    chat(4, {"gen_ai.request.model": "claude-sonnet-4-5"}, parent=1, seconds=2),
    chat(
        5,
        {"gen_ai.request.model": "text-embedding-3-small", "gen_ai.operation.name": "embeddings"},
        parent=4,
        seconds=0.2,
    ),
)


def reported(demo: Demo) -> str:
    """The id of the innermost call, after each span has come with an export of its own, from the inside out."""
    begun = datetime.now(UTC) - timedelta(minutes=2)
    for number, one in reversed(list(enumerate(SPANS))):
        start = round((begun + timedelta(milliseconds=700 * number)).timestamp() * 1000) * 10**6
        one.end_time_unix_nano += start - one.start_time_unix_nano
        one.start_time_unix_nano = start
        one.trace_id = bytes.fromhex(TRACE)
        body = as_protobuf(export(one, resource={"service.name": "router", "calledger.account": "acme"}))
        headers = {"Content-Type": "application/x-protobuf"}
        assert demo.service.request("POST", "/v1/traces", key=demo.keys["admin"], body=body, headers=headers)[0] == 200
    return called(demo, f'traceId: {{eq: "{TRACE}"}}, operation: {{eq: "embeddings"}}')


def called(demo: Demo, condition: str) -> str:
    query = f"{{ calls(first: 1, filter: {{{condition}}}) {{ nodes {{ id }} }} }}"
    return demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"][0]["id"]


async def shown(page: Console) -> list[str]:
    """Each row of the waterfall, as it is read."""
    rows = page.page.locator("aside.call .waterfall li")
    await expect(rows.nth(1)).to_be_visible()
    return texts(await rows.locator(".waterfall-name").all_inner_texts())


async def depths(page: Console) -> list[int]:
    names = page.page.locator("aside.call .waterfall-name")
    left: list[Any] = await names.evaluate_all("all => all.map(one => one.getBoundingClientRect().left)")
    steps = sorted(set(left))
    return [steps.index(one) for one in left]


async def test_attempts_of_separate_exports_are_within_each_other(demo: Demo) -> None:
    """Five exports of one trace are one waterfall: attempts below the call that made them, what an attempt asked for
    below that; a press opens another one; on a phone nothing is wider than the page.
    """
    innermost = reported(demo)
    async with console(demo, size=PHONE) as page:
        await page.sign_in("viewer", f"logs?range=24h&call={innermost}")
        assert await shown(page) == [
            "auto Succeeded",
            "gpt-4o RateLimitError Failed part of auto",
            "gpt-4o retry RateLimitError Failed part of auto",
            "claude-sonnet-4-5 fallback Succeeded part of auto",
            "text-embedding-3-small Succeeded part of claude-sonnet-4-5",
        ]
        assert await depths(page) == [0, 1, 1, 1, 2]
        await expect(page.page.locator("aside.call h3", has_text="5 calls of its trace in")).to_be_visible()
        assert await page.barriers() == []
        await page.picture("nested-attempts-phone")
        await page.page.locator(".waterfall button", has_text="auto").first.click()
        await expect(page.page.locator("aside.call .waterfall li[aria-current=true]")).to_contain_text("auto")


async def test_attempts_without_spans_are_beside_each_other(demo: Demo) -> None:
    """A gateway that reports no spans has its retries and fallbacks in the order in which they began."""
    third = called(demo, "attempt: {eq: 3}, status: {eq: SUCCEEDED}")
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={third}")
        rows = await shown(page)
        assert len(rows) == 3
        assert "retry" in rows[1] or "fallback" in rows[1]
        assert "retry" in rows[2] or "fallback" in rows[2]
        assert await depths(page) == [0, 0, 0]
        await expect(page.page.locator("aside.call h3", has_text="3 attempts in")).to_be_visible()
        await page.picture("attempts")
