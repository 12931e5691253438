"""Fixtures that several folders of tests use."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from conftest import Server
from manipulating import Case, MadeCase, copied, made
from retaining import RetainedLedger, open_retained
from running import RunningService


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """A ledger under retention."""
    async with open_retained(database_url, tmp_path) as retained:
        yield retained


@pytest.fixture(scope="session")
def sound(embedded_18: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, MadeCase]:
    """A ledger with something of everything, and the template of its database: a copy costs a third of making it."""
    cases: list[MadeCase] = []
    folder = tmp_path_factory.mktemp("sound")
    template = embedded_18.filled(lambda url: cases.append(asyncio.run(made(url, folder))))
    return template, cases[0]


@pytest.fixture
async def case(sound: tuple[str, MadeCase], embedded_18: Server, tmp_path: Path) -> AsyncIterator[Case]:
    """A sound ledger of its own."""
    template, original = sound
    with embedded_18.database(template=template) as url:
        async with copied(original, url, tmp_path) as case:
            yield case


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service, which the tests of a file share."""
    running = RunningService(tmp_path_factory.mktemp("service") / "data")
    yield running
    running.stop()
