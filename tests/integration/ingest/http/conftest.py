"""Fixtures of the tests of ingest over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway import Gateway, gateway_to
from ingesting import ingesting


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with ingesting(database_url, tmp_path) as ingest, gateway_to(ingest) as gateway:
        yield gateway
