"""The writer on a real PostgreSQL: what is acknowledged is stored once, exactly, and nothing else is."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from service.ingest.verdict import Status
from ingesting import DELTA_SUMS, RAW_SUMS, Ingest, call, ingesting


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


async def statuses(ingest: Ingest, *rows: dict) -> list[str]:
    return [verdict.status.value for verdict in await ingest.report(*rows)]


async def test_money_is_stored_exactly(ingest: Ingest) -> None:
    """A string is stored as it is, a number without the noise of binary floats, both to twelve places."""
    await ingest.report(
        call("a", amount="0.000000000001"),
        call("b", amount=0.00022500000000000002),
        call("c", amount="999999999999999.999999999999"),
        call("d", amount=5.549999999999999e-06),
    )

    amounts = [row["amount"] for row in await ingest.fetch("SELECT amount FROM call ORDER BY source_id")]
    expected = ["0.000000000001", "0.000225", "999999999999999.999999999999", "0.00000555"]
    assert [Decimal(text) for text in expected] == amounts


async def test_retried_call_is_a_duplicate_and_counts_once(ingest: Ingest) -> None:
    """The same report again is a duplicate with the same id, and neither calls nor usage grow."""
    first = await ingest.report(call("a", amount="1.5", input_tokens=10, output_tokens=2))
    second = await ingest.report(call("a", amount="1.50", input_tokens=10, output_tokens=2))

    assert [Status.ACCEPTED, Status.DUPLICATE] == [first[0].status, second[0].status]
    assert first[0].id == second[0].id
    assert [(1, 10, 2, Decimal("1.5"))] == [tuple(row) for row in await ingest.fetch(RAW_SUMS)]
    assert [(1, 10, 2, Decimal("1.5"))] == [tuple(row) for row in await ingest.fetch(DELTA_SUMS)]
