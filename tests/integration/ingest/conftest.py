"""Fixtures of the tests of ingest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ingesting import Ingest, ingesting


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest
