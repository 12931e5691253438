"""What tests of several rooms share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from retaining import RetainedLedger, open_retained


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """A ledger under retention."""
    async with open_retained(database_url, tmp_path) as retained:
        yield retained
