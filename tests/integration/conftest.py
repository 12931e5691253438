"""What tests of several rooms share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from retaining import RetainedLedger, open_retained
from running import RunningService


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """A ledger under retention."""
    async with open_retained(database_url, tmp_path) as retained:
        yield retained


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service, which the tests of a file share."""
    running = RunningService(tmp_path_factory.mktemp("service") / "data")
    yield running
    running.stop()
