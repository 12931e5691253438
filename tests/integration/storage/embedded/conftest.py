"""Fixtures of the tests of the embedded PostgreSQL."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding import copy, short_folder, start_and_stop


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder whose database has been made, so that not every test makes one."""
    with short_folder() as folder:
        asyncio.run(start_and_stop(folder / "data"))
        yield folder / "data"


@pytest.fixture
def data(made: Path) -> Iterator[Path]:
    """A copy of `made`, with owners and permissions."""
    with short_folder() as folder:
        copy(made, folder / "data")
        yield folder / "data"
