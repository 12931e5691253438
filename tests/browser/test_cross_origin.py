"""Pages of other origins in a real browser: those that the operator names reach the API, and no others."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from chromium import pages
from playwright.async_api import Browser, Page
from running import RunningService

# What a frontend does: nothing but `fetch`. Answers what a page could read of the answer, or why it could read nothing.
ASK = """
async ([url, method, key, body, headers]) => {
  try {
    const answer = await fetch(url, {
      method, body: body === null ? undefined : JSON.stringify(body),
      headers: {...(body === null ? {} : {"Content-Type": "application/json"}), ...headers,
                ...(key === null ? {} : {Authorization: `Bearer ${key}`})},
    });
    return {status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text()};
  } catch (error) {
    return {failed: String(error)};
  }
}
"""
TOKEN = 'mutation { createSessionToken(input: {accounts: ["acme"], role: VIEWER}) { token } }'
CALLS = "{ calls(first: 50) { totalCount nodes { id model account startedAt inputTokens } } }"


@dataclass(slots=True)
class Site:
    """A service that names one origin, and a page of it."""

    service: RunningService
    browser: Browser
    page: Page

    async def ask(
        self, path: str, *, key: str | None = None, body: Any = None, page: Page | None = None, **headers: str
    ) -> dict[str, Any]:
        method = "GET" if body is None else "POST"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await (page or self.page).evaluate(ASK, [self.service.url + path, method, key, body, named])

    async def written_until(self, request_id: str) -> str:
        """The log, once it has the line of this request."""
        async with asyncio.timeout(60):
            while f'"request_id":"{request_id}"' not in (text := self.service.log.read_text()):
                await self.page.evaluate("1")
        return text


@pytest_asyncio.fixture(loop_scope="session")
async def site(browser: Browser, tmp_path: Path) -> AsyncIterator[Site]:
    page_of_frontend = {"/": "<!doctype html><title>a frontend</title>"}
    async with await browser.new_context() as context, pages(page_of_frontend) as origin:
        environment = {"CALLEDGER_CORS_ORIGINS": f"https://app.example.com,{origin}"}
        service = await asyncio.to_thread(RunningService, tmp_path / "data", environment=environment)
        try:
            page = await context.new_page()
            await page.goto(origin)
            yield Site(service, browser, page)
        finally:
            await asyncio.to_thread(service.stop)


def _calls(count: int) -> list[dict[str, Any]]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    call = {"model": "gpt-4o", "status": "succeeded", "account": "acme", "started_at": moment, "input_tokens": 7}
    return [{**call, "id": f"c{number}"} for number in range(count)]


async def test_a_page_of_a_named_origin_uses_the_api(site: Site) -> None:
    """It reports, asks with a session token, reads headers and errors, fetches an export; a preflight is kept."""
    admin = site.service.admin_key
    reported = await site.ask("/v1/calls", key=admin, body=_calls(60))
    assert json.loads(reported["text"])["accepted"] == 60, reported

    made = await site.ask("/graphql", key=admin, body={"query": TOKEN})
    token = json.loads(made["text"])["data"]["createSessionToken"]["token"]
    assert "content-encoding" not in made["headers"], "what holds a token is not compressed"
    asked = await site.ask("/graphql", key=token, body={"query": CALLS}, X_Request_Id="checkout-4711")
    data = json.loads(asked["text"])["data"]["calls"]
    assert (data["totalCount"], len(data["nodes"])) == (60, 50)
    assert asked["headers"]["content-encoding"] in ("gzip", "zstd")
    assert asked["headers"]["x-request-id"] == "checkout-4711"
    assert asked["headers"]["ratelimit"].startswith('"cost";r=')

    wanted = "application/graphql-response+json"
    refused = await site.ask("/graphql", key="cl_wrong", body={"query": CALLS}, Accept=wanted)
    [error] = json.loads(refused["text"])["errors"]
    assert (refused["status"], error["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert error["extensions"]["requestId"] == refused["headers"]["x-request-id"]
    for path, status in (("/nowhere", 404), ("/v1/exports/exp_unknown", 401), ("/v1/calls", 405)):
        answer = await site.ask(path)
        assert answer["status"] == status, (path, answer)
        assert json.loads(answer["text"])["error"]["request_id"] == answer["headers"]["x-request-id"]

    file = await _exported(site, token)
    assert file["headers"]["etag"].startswith('"')
    again = await site.ask(file["path"], key=token, If_None_Match=file["headers"]["etag"])
    assert again["status"] == 304, again
    assert len(file["text"].splitlines()) == 60

    async def preflights(last: str) -> int:
        """How many there have been when the request with this id was answered."""
        await site.ask("/graphql", key=token, body={"query": CALLS}, X_Request_Id=last)
        return (await site.written_until(last)).count('"route":"preflight"')

    assert 0 < await preflights("one") == await preflights("two") == await preflights("three")


async def _exported(site: Site, key: str) -> dict[str, Any]:
    create = 'mutation { createExport(input: {kind: CALLS, format: NDJSON, fields: ["id"]}) { export { id } } }'
    made = json.loads((await site.ask("/graphql", key=key, body={"query": create}))["text"])
    id_ = made["data"]["createExport"]["export"]["id"]
    query, path = {"query": f'{{ export(id: "{id_}") {{ url }} }}'}, None
    async with asyncio.timeout(60):
        while path is None:
            path = json.loads((await site.ask("/graphql", key=key, body=query))["text"])["data"]["export"]["url"]
    return {**await site.ask(path, key=key), "path": path}


async def test_a_page_of_another_origin_reaches_nothing(site: Site) -> None:
    """The same page from an origin that is not named reads no answer of any path, with the right key or without."""
    async with pages({"/": "<!doctype html><title>somebody else</title>"}) as other:
        page = await site.browser.new_page()
        await page.goto(other)
        key = site.service.admin_key
        asked = {"/graphql": {"query": CALLS}, "/v1/calls": [], "/healthz": None, "/v1/checkpoint": None}
        for path, body in asked.items():
            answer = await site.ask(path, key=key if body is not None else None, body=body, page=page)
            assert "Failed to fetch" in answer.get("failed", ""), (path, answer)
