"""What tests of several folders share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import Server
from manipulating import Case, MadeCase, copied, made


@pytest.fixture(scope="session")
def sound(embedded_18: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, MadeCase]:
    """A ledger with something of everything, and the template of its database. A copy costs less than it."""
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
