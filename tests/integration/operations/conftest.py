"""Fixtures of the tests of GraphQL operations."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from rows import SeededLedger, StoredCall, open_seeded


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put(StoredCall(now - timedelta(minutes=index), source_id=str(index)) for index in range(5))
        yield seeded
