"""The files that a row passes on its way in, and a page on its way out: few, and those that docs/architecture.md names.

Both are traced: the service's own application answers in this process, over a real PostgreSQL.
"""

import re
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import aiohttp
import pytest
import structlog
from ledgers import recorded_key

from service.logs import configure_logs
from service.runtime.runtime import Runtime, open_runtime
from service.server.lifecycle import accepting_requests
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILES_MAX = 15
BESIDES = {
    f"service/{name}.py"
    for name in ("storage/numbering", "storage/notifications", "server/lifecycle", "tasks", "offload")
}
"""What runs in tasks of its own meanwhile: it numbers what was stored, and hears that it was; and what lets others have
their turn where a machine is busy.
"""
WARM = 8
"""Requests of the same kind that came before: what is worked out once is worked out."""
TRACED = 3
"""Requests that are traced: what runs now and then beside one of them is no part of all."""
PAGE = """query Page($account: String!) { calls(first: 5, filter: {account: {eq: $account}}) {
  nodes { id startedAt model status inputTokens outputTokens latencyMs amount { amount currency } }
  pageInfo { hasNextPage endCursor } } }"""


@dataclass
class Client:
    """Speaks HTTP to the service's own application, which answers in this process."""

    session: aiohttp.ClientSession
    url: str
    key: str

    async def post(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.session.post(self.url + path, json=body, headers=headers) as response:
            assert response.status == 200
            return await response.json()


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    structlog.reset_defaults()
    configure_logs(form="json")
    settings = Settings(data=tmp_path, database_url=database_url)
    async with open_runtime(settings) as runtime, listening(runtime) as url, plain_session() as session:
        yield Client(session, url, await recorded_key(runtime.ledger))
    structlog.reset_defaults()


def plain_session() -> aiohttp.ClientSession:
    """A client that takes no compressed answers, as most gateways' reporters are."""
    return aiohttp.ClientSession(skip_auto_headers=["Accept-Encoding"])


@asynccontextmanager
async def listening(runtime: Runtime) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with accepting_requests(runtime, listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def traced(files: set[str]) -> Iterator[None]:
    """Add to `files` those of `service/` of which a function runs, in whatever thread or task."""
    codes = set[CodeType]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    paths = {code.co_filename.removeprefix(f"{ROOT}/") for code in codes}
    files |= {path for path in paths if path.startswith("service/")} - BESIDES


async def walk(step: Callable[[int], Awaitable[None]]) -> set[str]:
    """The files that each of the last of several like steps passes."""
    for index in range(WARM):
        await step(index)
    walks = list[set[str]]()
    for index in range(WARM, WARM + TRACED):
        files = set[str]()
        with traced(files):
            await step(index)
        walks.append(files)
    common = set.intersection(*walks)
    print(len(common), *sorted(common), sep="\n")
    return common


def named(heading: str) -> set[str]:
    """The files of `service/` that a walk of docs/architecture.md names, up to its first sub-heading."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    return set(re.findall(r"`(service/[\w/]+\.py)`", text.split(f"## {heading}\n")[1].split("\n##")[0]))


async def report(client: Client, index: int) -> None:
    started = datetime.now(UTC) - timedelta(minutes=5)
    row = {
        "id": f"call-{index}", "started_at": started.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "model": "gpt-4o",
        "provider": "openai", "account": "acme", "user": "u-1", "status": "succeeded", "input_tokens": 10,
        "output_tokens": 5, "latency_ms": 250, "amount": "0.00125", "currency": "USD",
    }  # fmt: skip
    answer = await client.post("/v1/calls", [row])
    assert answer["accepted"] == 1, answer


async def test_a_row_passes_the_files_that_the_walk_names(client: Client) -> None:
    """A reported call passes at most fifteen files outside of policies/, from the socket to the committed row."""
    files = await walk(lambda index: report(client, index))

    assert len(files) <= FILES_MAX
    assert files == named("One call, from the socket to the disk")


@pytest.mark.plain("names files that a page passes, and on Citus it passes one more")
async def test_a_page_passes_the_files_that_the_walk_names(client: Client) -> None:
    """A page of calls that was asked before passes at most fifteen files outside of policies/."""
    for index in range(5):
        await report(client, index)

    async def ask(_: int) -> None:
        answer = await client.post("/graphql", {"query": PAGE, "variables": {"account": "acme"}})
        assert len(answer["data"]["calls"]["nodes"]) == 5, answer

    files = await walk(ask)

    assert len(files) <= FILES_MAX
    assert files == named("One page back, from the request to its bytes")
