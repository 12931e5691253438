"""Rows of an import are read by a process of its own, and come back as they were read."""

import asyncio
import json
import os
import pickle
import re
import sys
from pathlib import Path
from typing import cast

import pytest
from gateway_rows import READERS, litellm_pairs, rows_of

from policies import Report
from service.imports import reading
from service.imports.reading import ReadingProcess, packed, unpacked
from service.ingest.formats.litellm.spend_log import read_history
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection
from service.ingest.pipeline.long_rows import drained

ROWS = [json.dumps(pair[form]).encode() for pair in litellm_pairs() for form in ("row", "callback")]
ODD = [b"", b"null", b"[]", b'{"request_id": 1}', b"\xff", b'{"id": "\\ud800"}']


@pytest.mark.parametrize("name", READERS)
def test_what_is_packed_comes_back(name: str) -> None:
    """Reports with all that they hold, and rejections."""
    outcomes = [READERS[name](row) for row in [*rows_of(name), b"{}"]]

    assert [unpacked(pickle.loads(pickle.dumps(packed(outcome)))) for outcome in outcomes] == outcomes
    assert any(isinstance(outcome, Rejection) for outcome in outcomes)


def test_a_process_reads_as_we_do() -> None:
    """Calls, failures with their content, and what is no row, page by page."""

    async def read() -> list[list[Report | Rejection] | None]:
        async with ReadingProcess(read_history) as process:
            return [await process.reports(ROWS), await process.reports(ODD), await process.reports([])]

    calls, odd, nothing = asyncio.run(read())

    assert calls == list(map(read_history, ROWS))
    assert odd == list(map(read_history, ODD))
    assert nothing == []
    assert any(isinstance(call, Report) and call.error is not None and call.content for call in calls or ())


def test_rows_of_a_process_that_ended_are_left_to_its_caller() -> None:
    """Whatever ended it: nothing is lost, and no other one is started."""

    async def read() -> list[list[Report | Rejection] | None]:
        async with ReadingProcess(_end) as process:
            return [await process.reports(ROWS), await process.reports(ROWS)]

    assert asyncio.run(read()) == [None, None]


def test_a_process_that_takes_too_long_is_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not go on working beside the one that reads in its place."""
    monkeypatch.setattr(reading, "_PAGE_S", 0.5)

    async def read() -> tuple[list[Report | Rejection] | None, set[str]]:
        before = _children()
        # A pattern that is tried in as many ways as there are ways to divide the row.
        async with ReadingProcess(cast("Reader", re.compile(rb"(a|a)+$").match)) as process:
            return await process.reports([b"a" * 64 + b"b"]), _children() - before

    assert asyncio.run(read()) == (None, set())


def test_a_process_whose_answer_is_broken_off_is_ended() -> None:
    """Nobody reads the rest of it, and yet its end is seen: an import that is interrupted stops."""

    async def end() -> int | None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "print('x' * 10**7)"), stdout=asyncio.subprocess.PIPE, limit=1
        )
        assert process.stdout is not None
        await process.stdout.readexactly(1)
        process.kill()
        async with asyncio.timeout(20):
            await drained(process)
        return process.returncode

    assert asyncio.run(end()) == -9


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def _end(_: object) -> Report | Rejection:
    raise SystemExit
