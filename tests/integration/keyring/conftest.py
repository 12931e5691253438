"""Fixtures of the tests of keyrings in a directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keyring_folder import Environment

from service.keyring import Keyring


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


@pytest.fixture
async def keyring(env: Environment) -> AsyncIterator[Keyring]:
    keyring = await env.open(create=True)
    yield keyring
    await keyring.close()
