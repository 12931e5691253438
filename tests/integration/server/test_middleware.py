"""The middleware before aiohttp's dispatcher: the same answers, the same lines and the same end on both ways."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession, web

from service.logs import configure_logs
from service.server.application import Runner
from service.server.middleware import Handler, Middleware, write_requests

PATHS = ("/straight", "/dispatched")
SECRET = "sk-proj-a-secret-that-an-error-quotes"


async def handler(request: web.Request) -> web.Response:
    """Does what the request's body says."""
    asked = await request.text()
    match asked:
        case "break":
            raise RuntimeError(SECRET)
        case "refuse":
            raise web.HTTPConflict(text=SECRET, headers={"X-Secret": SECRET, "Retry-After": "7"})
        case "redirect":
            raise web.HTTPFound("/elsewhere")
        case _:
            return web.Response(text=f"{request.method} {asked}")


class Environment:
    """A middleware before an application that mounts the same handler twice."""

    def __init__(self, middleware: Middleware, url: str, session: ClientSession, stream: io.StringIO) -> None:
        self.middleware = middleware
        self.url = url
        self.session = session
        self._stream = stream

    async def post(self, path: str, body: str = "", **options: Any) -> tuple[int, str, dict[str, str]]:
        async with self.session.post(self.url + path, data=body, allow_redirects=False, **options) as answer:
            names = ("Retry-After", "X-Secret", "Location", "Connection")
            return answer.status, await answer.text(), {n: answer.headers[n] for n in names if n in answer.headers}

    def lines(self) -> list[tuple[str, str | None, int]]:
        write_requests()
        events = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [(event["method"], event["route"], event["status"]) for event in events if event["event"] == "request"]


@pytest.fixture
async def env(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Environment]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    structlog.reset_defaults()
    configure_logs(level="info", form="json")
    app = web.Application()
    for path in PATHS:
        app.router.add_route("POST", path, handler)
    middleware = Middleware(app, {PATHS[0]: handler})
    runner = Runner(app, middleware, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        yield Environment(middleware, f"http://127.0.0.1:{runner.addresses[0][1]}", session, stream)
    await runner.cleanup()
    structlog.reset_defaults()
    logging.getLogger().handlers = []


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_and_its_line(env: Environment, path: str) -> None:
    """Answered, with one line that names the route and nothing of the query string."""
    assert (await env.post(f"{path}?key={SECRET}", "hello"))[:2] == (200, "POST hello")
    assert env.lines() == [("POST", path, 200)]


@pytest.mark.parametrize("path", PATHS)
async def test_a_failure_says_nothing_of_its_cause(env: Environment, path: str) -> None:
    """A code and a sentence of ours; of headers only those that say what to do."""
    status, body, _ = await env.post(path, "break")
    assert (status, json.loads(body)["error"]["code"]) == (500, "internal")
    refused, reason, headers = await env.post(path, "refuse")
    assert (refused, json.loads(reason)["error"]["code"], headers) == (409, "conflict", {"Retry-After": "7"})
    assert SECRET not in body + reason
    assert env.lines() == [("POST", path, 500), ("POST", path, 409)]


@pytest.mark.parametrize("path", PATHS)
async def test_a_redirection_is_let_pass(env: Environment, path: str) -> None:
    """Not an error: it goes out as it is, and is logged as what it is."""
    status, _, headers = await env.post(path, "redirect")
    assert (status, headers) == (302, {"Location": "/elsewhere"})
    assert env.lines() == [("POST", path, 302)]


@pytest.mark.parametrize("path", PATHS)
async def test_whoever_asks_before_sending_is_told_to_go_on(env: Environment, path: str) -> None:
    """`Expect: 100-continue` (RFC 9110, section 10.1.1) is answered, on the way that knows it."""
    assert (await env.post(path, "hello", expect100=True))[:2] == (200, "POST hello")


@pytest.mark.parametrize("path", ["/straight/", "/straigh", "/Straight", "/straight%2F", "//straight", "/"])
async def test_only_the_path_itself_is_straight(env: Environment, path: str) -> None:
    """Whatever is spelled otherwise is looked for as ever, and the line does not repeat it."""
    status, body, _ = await env.post(path, "hello")
    assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")
    assert env.lines() == [("POST", None, 404)]


@pytest.mark.parametrize("path", PATHS)
async def test_the_end_waits_for_what_is_under_way(env: Environment, path: str) -> None:
    """A request whose body is still on its way is answered, and its connection closed after it."""

    async def body() -> AsyncIterator[bytes]:
        yield b"hel"
        await ending.wait()
        await asyncio.sleep(0)
        assert not end.done()
        yield b"lo"

    ending = asyncio.Event()
    asked = asyncio.create_task(env.post(path, body()))  # type: ignore[arg-type] - aiohttp takes generators
    while not env.middleware._under_way:  # noqa: ASYNC110 - until the service has it
        await asyncio.sleep(0.01)
    end = asyncio.create_task(env.middleware.end())
    ending.set()
    status, text, headers = await asked
    async with asyncio.timeout(60):
        await end

    assert (status, text, headers) == (200, "POST hello", {"Connection": "close"})


async def test_middlewares_see_every_request() -> None:
    """Whoever gives the application a middleware, as OpenTelemetry does for its spans, is walked past by nobody."""
    seen = []

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen.append(request.path)
        return await handler(request)

    app = web.Application(middlewares=[middleware])
    for path in PATHS:
        app.router.add_route("POST", path, handler)
    runner = Runner(app, Middleware(app, {PATHS[0]: handler}), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        for path in PATHS:
            await session.post(f"http://127.0.0.1:{runner.addresses[0][1]}{path}", data="hello")
    await runner.cleanup()
    assert seen == [*PATHS]


async def test_an_end_without_requests_waits_for_nothing(env: Environment) -> None:
    """Connections that only lie open hold nobody up."""
    await env.post("/straight", "hello")
    async with asyncio.timeout(60):
        await env.middleware.end()
