"""The event loop is everybody's: what one request brings does not keep the others waiting."""

import gc
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ingesting import ANYONE, Ingest, call, ingesting
from watching import watched

from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.split import in_turns, splitting
from service.ingest.http import Answer
from service.ingest.results import RowResult, Status
from service.log_redaction import shared_redactor

CHARS = 64 * 1024
# Far above what is measured (benchmarks/query/freeze.py), far below what one piece would take: CI has neighbours.
HELD_CPU_S = 0.4
WORST = {
    "full-width keys": "ｐａｓｓｗｏｒｄ＝ａ ",  # noqa: RUF001
    "addresses": "a@b.co ",
    "headers": "Authorization: ",
}


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    shared_redactor()  # compiled once a process
    async with ingesting(database_url, tmp_path) as made:
        yield made


def failed(name: str, text: str, **facts: Any) -> dict[str, Any]:
    return call(name, status="failed", error={"type": "E", "message": text[:CHARS]}, **facts)


async def reported(ingest: Ingest, body: bytes) -> list[RowResult]:
    texts = await in_turns(splitting(body))
    return await ingest.writer.submit(texts, native_reader(body), ANYONE, source="native")


async def answered(ingest: Ingest, body: bytes) -> Answer:
    texts, answer = await in_turns(splitting(body)), Answer()
    async for results in ingest.writer.store(texts, native_reader(body), ANYONE, source="native"):
        await answer.add(results)
    return answer


@pytest.mark.parametrize("kind", WORST)
async def test_long_error_texts_leave_the_loop_free(ingest: Ingest, kind: str) -> None:
    """Forty of the worst texts of 64 KiB take seconds; no piece of it keeps the loop for long."""
    rows = [failed(f"r{n}", f"{n} {WORST[kind] * CHARS}"[:CHARS]) for n in range(40)]
    begun = time.process_time()

    async with watched() as gaps:
        verdicts = await reported(ingest, json.dumps(rows, default=str).encode())

    assert {verdict.status for verdict in verdicts} == {Status.ACCEPTED}
    whole = time.process_time() - begun
    assert max(gaps) < max(HELD_CPU_S, whole / 8), whole


async def test_many_rows_leave_the_loop_free(ingest: Ingest) -> None:
    """Two hundred thousand rows that are nothing are split, refused and answered in slices."""
    body = b"[" + b",".join([b"{}"] * 200_000) + b"]"

    async with watched() as gaps:
        answer = await answered(ingest, body)

    document = json.loads(b"".join(answer.pieces()))
    assert document["rejected"] == document["refused"]["field_missing"] == len(document["results"]) == 200_000
    assert [result["index"] for result in document["results"]] == list(range(200_000))
    assert max(gaps) < HELD_CPU_S


async def test_results_are_text_as_soon_as_they_come(ingest: Ingest) -> None:
    """Of a body of many rows no more results are kept than of one part: the garbage collector would walk them all, and
    to free them at once keeps the loop.
    """
    body = b"[" + b",".join([b"{}"] * 20_000) + b"]"

    answer = await answered(ingest, body)

    assert answer.rows == 20_000
    assert sum(isinstance(kept, RowResult) for kept in gc.get_objects()) <= 2_000


async def test_a_batch_in_parts_keeps_its_order_and_its_verdicts(ingest: Ingest) -> None:
    """Long errors are stored a few at a time; each row has its own verdict, in its place."""
    rows = [failed(f"r{n}", "x y " * CHARS) if n % 3 else call(f"r{n}", model="" if n % 2 else "m") for n in range(30)]

    verdicts = await reported(ingest, json.dumps(rows, default=str).encode())

    expected = [Status.ACCEPTED if n % 3 or n % 2 == 0 else Status.REJECTED for n in range(30)]
    assert [verdict.status for verdict in verdicts] == expected
    assert await ingest.value("SELECT count(*) FROM call") == expected.count(Status.ACCEPTED)
