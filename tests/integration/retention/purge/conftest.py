"""What tests of the purge share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from purging import Environment, open_environment


@pytest.fixture
async def env(database_url: str, tmp_path: Path) -> AsyncIterator[Environment]:
    async with open_environment(database_url, tmp_path) as env:
        yield env
