"""Fixtures of the tests of exports and evidence."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from auditing import serving
from http_server import Served


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(database_url, tmp_path) as served:
        yield served


@pytest.fixture
async def unwatched(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The same, and the queue of exports is the test's own."""
    async with serving(database_url, tmp_path, exports=False) as served:
        yield served
