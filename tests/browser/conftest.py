"""One browser for all tests of a run that need one, and one service with the demo's data.

A browser belongs to the event loop that started it, so these tests and their fixtures share the loop of the run. What
a page leaves behind ends with its context, which each test makes for itself.
"""

import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import browsing, program
from console import Demo
from playwright.async_api import Browser
from running import RunningService


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of this folder on the loop of the run."""
    folder = Path(__file__).parent
    for item in items:
        if isinstance(item, pytest.Function) and folder in item.path.parents and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as opened:
        yield opened


@pytest.fixture(scope="session")
def demo_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    program()  # skips before a service is started for nothing
    service = RunningService(tmp_path_factory.mktemp("console") / "data", "--demo")
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def demo(demo_service: RunningService, browser: Browser) -> Demo:
    return Demo(demo_service, dict(line.split() for line in demo_service.lines[:-1]), browser)
