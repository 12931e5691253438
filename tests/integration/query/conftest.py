"""Fixtures of the tests of costs and facets."""

from collections.abc import AsyncIterator

import pytest
from usage_ledger import Ledger, open_ledger


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url) as opened:
        yield opened
