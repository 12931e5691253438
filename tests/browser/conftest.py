"""One service with the demo's data, for all tests of the console of a run."""

from collections.abc import Iterator

import pytest
from chromium import program
from console import Demo
from running import RunningService


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    program()  # skips before a service is started for nothing
    service = RunningService(tmp_path_factory.mktemp("console") / "data", "--demo")
    try:
        yield Demo(service, dict(line.split() for line in service.lines[:-1]))
    finally:
        service.stop()
