"""What maintenance says of work that has to be tried again."""

from datetime import timedelta
from pathlib import Path

import pytest
from retaining import NOW, open_retained

from service.retention.maintenance import maintain


async def test_a_clock_that_is_off_is_warned_of_once(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rounds in a row, as at a start, say the same of each work once."""
    async with open_retained(database_url, tmp_path) as retained:
        retained.retention.clock = lambda: NOW - timedelta(hours=1)
        for _ in range(2):
            assert not await maintain(retained.retention)
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "maintenance has to be tried again" in line]
    for work in ("holds", "purge", "fields removed"):
        assert sum(line.endswith((f"work={work}", f"work='{work}'")) for line in lines) == 1, lines
