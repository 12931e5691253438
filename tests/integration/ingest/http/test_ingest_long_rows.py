"""One row of some MiB is read aside: others do not wait for it, and what it holds is bounded."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from ingesting import ANYONE, Ingest, call, ingesting
from watching import watched

from policies import Report
from service.ingest.formats.litellm.adapter import litellm_reader
from service.ingest.formats.native.reader import native_reader, read_row
from service.ingest.formats.split import Rejection
from service.ingest.pipeline import long_rows
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.refusals import Refusal
from service.ingest.results import Status

MIB: Final = 2**20
SIZE: Final = 4 * MIB
HELD_S: Final = 0.05

PAIRS: Final = ",".join(f'"k{number}":1' for number in range(SIZE // 12))
ROWS: Final = {
    "units": f'"units":{{{PAIRS}}}',
    "tags": f'"tags":{{{PAIRS}}}',
    "unknown fields": PAIRS,
    "no numbers": f'"x":[{"NaN," * (SIZE // 4)}NaN]',
    "parameters": f'"status":"failed","error":{{"type":"E","message":"m","parameters":{{{PAIRS}}}}}',
    "half surrogates": '"x":"' + r"\ud800" * (SIZE // 6) + '"',
    "depth": '"x":' + '{"a":' * (SIZE // 6) + "1" + "}" * (SIZE // 6),
    "escapes": '"messages":"' + r"\n\t" * (SIZE // 4) + '"',
    "blanks": " " * SIZE + '"x":1',
    "parts": '"amount":"1","amount_parts":[' + '{"name":"a","amount":"1"},' * (SIZE // 26) + "1]",
}


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as made:
        yield made


def row(fields: str, name: str = "long") -> bytes:
    facts = json.dumps(call(name), default=str)
    return f"{facts[:-1]},{fields}}}".encode()


@pytest.mark.parametrize("kind", ROWS)
async def test_a_long_row_leaves_the_loop_free(ingest: Ingest, kind: str) -> None:
    """Whatever a row of four MiB is made of, the event loop is never held for long; the row gets its own answer."""
    body = row(ROWS[kind])
    warm = await ingest.writer.submit([row('"x":"' + "y" * 2**17 + '"', "warm")], read_row, ANYONE, source="native")
    assert [result.status for result in warm] == [Status.ACCEPTED]

    async with watched() as gaps:
        results = await ingest.writer.submit([body], native_reader(body), ANYONE, source="native")

    assert len(results) == 1
    assert max(gaps) < HELD_S


async def test_a_long_row_is_stored_as_a_short_one(ingest: Ingest) -> None:
    """A call with a long prompt is billed; of a failed one the prompt's echo is found, as if it were short."""
    prompt = "my neighbour is a diabetic " + "lorem ipsum " * 20_000
    failed = '"error":{"type":"E","code":"c","message":"bad: my neighbour is a diabetic"},"amount":"0.25"'
    text = json.dumps(call("long", status="failed"), default=str)[:-1]
    body = f'{text},{failed},"prompt":{json.dumps(prompt)}}}'.encode()

    [result] = await ingest.writer.submit([body], native_reader(body), ANYONE, source="native")

    assert result.status == Status.ACCEPTED
    report = read_row(body)
    assert not isinstance(report, Rejection)
    assert str(report.amount) == "0.25" and report.content
    assert await read_aside(body) == report


async def test_rows_beyond_the_bounds_are_refused_alone() -> None:
    """A row of more than 16 MiB, and one whose reader does not come back, are rejected, and the next one is read."""
    rows = LongRows()
    try:
        huge = await rows.read(litellm_reader(b""), b" " * (long_rows.ROW_BYTES_MAX + 1))
        assert isinstance(huge, Rejection) and "longer than" in huge.reason
        lost = await rows.read(sys.exit, b"{}")  # its process ends
        assert isinstance(lost, Rejection) and lost.code is Refusal.NOT_STORED
        assert not isinstance(await rows.read(read_row, json.dumps(call("r1"), default=str).encode()), Rejection)
    finally:
        await rows.close()


async def test_a_process_that_was_ended_costs_no_row() -> None:
    """Somebody ends the process between two rows, as the kernel does where memory is short: the next row is read."""
    rows, line = LongRows(), json.dumps(call("r1"), default=str).encode()
    try:
        assert isinstance(await rows.read(read_row, line), Report)
        assert rows._process is not None
        os.kill(rows._process.pid, signal.SIGKILL)
        assert isinstance(await rows.read(read_row, line), Report)
    finally:
        await rows.close()


async def test_content_beyond_the_bounds_costs_the_message_and_not_the_call() -> None:
    """Where not all of the content can be looked for in the error's text, there is no such text."""
    contents = ",".join(f'"piece of content {number}"' for number in range(30_000))
    body = row(f'"status":"failed","prompt":[{contents}],"error":{{"type":"E","message":"piece of content 17"}}')

    report = await read_aside(body)

    assert report.error is not None and report.error.message is None
    assert report.content == [] and "error.message" in report.dropped
    assert any("too long" in warning for warning in report.warnings)


async def read_aside(body: bytes) -> Report:
    """The report of one row of the native format, read by the process."""
    rows = LongRows()
    try:
        report = await rows.read(read_row, body)
    finally:
        await rows.close()
    assert isinstance(report, Report), report
    return report
