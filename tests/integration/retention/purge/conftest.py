"""Fixtures of the tests of the purge."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from purging import Environment, open_environment
from retaining import RetainedLedger, open_retained


@pytest.fixture
async def env(database_url: str, tmp_path: Path) -> AsyncIterator[Environment]:
    async with open_environment(database_url, tmp_path) as env:
        yield env


@pytest.fixture
async def retained(any_database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """A ledger under retention, on each version of PostgreSQL."""
    async with open_retained(any_database_url, tmp_path) as retained:
        yield retained
