"""Charges of calls in files are those of the same calls in the database, and estimates in files are not priced anew."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cold_ledgers import BASE, NOTHING, NOW, ColdLedger, old_call, opened
from ingesting import call

from policies.policy.model import Role
from policies.policy.views import view_table
from service.api.exports.requests import ExportRequest
from service.export.sources.focus import charges
from service.ingest.amendments.repricing import RepriceRange, Repricing
from service.ingest.prices.price_list import Prices
from service.ingest.prices.price_sources import shipped_prices
from service.query.model.scope import Scope
from service.retention.cold.freeze import freeze
from service.retention.cold.thaw import thaw
from service.storage.cold import parquet
from service.storage.cold.catalogue import AGE_MIN
from service.storage.cold.errors import ColdFileError, ColdTierError

pytestmark = pytest.mark.plain("calls in files of the cold tier")

PARTS = [{"meter": "input", "quantity": "7", "amount": "0.10"}, {"meter": "output", "quantity": "3", "amount": "0.2"}]


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ColdLedger]:
    async with opened(database_url, tmp_path) as ledger:
        yield ledger


async def focus(ledger: ColdLedger, *accounts: int) -> list[Any]:
    """The rows of FOCUS, for a role that sees these accounts (none: all)."""
    policy = ledger.kept.ingest.applied.policy
    scope = Scope("testkey2", Role.ADMIN, accounts or None, policy, view_table(policy, Role.ADMIN))
    between = {"gte": f"{BASE:%Y-%m-%dT00:00:00Z}", "lt": f"{NOW:%Y-%m-%dT00:00:00Z}"}
    request = ExportRequest("FOCUS", "CSV", (), {"startedAt": between})
    batches = await charges(ledger.reader, scope, request, lambda: None, columns=False)
    return [row for batch in batches_of([batch async for batch in batches]) for row in batch]


def batches_of(batches: list[Any]) -> list[Any]:
    return [batch.rows for batch in batches]


async def test_focus_is_the_same_over_files(ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row, digit for digit, of many groups of rows, with parts, corrections and calls that have come back; a key
    of one account gets its own.
    """
    target = (await ledger.data('{ calls(filter: {traceId: {eq: "trace-1"}}) { nodes { id } } }'))["calls"]["nodes"][0]
    await ledger.kept.report(
        old_call(300, id="parts", started_at=(BASE + timedelta(days=2)).isoformat(), amount="0.31", currency="USD",
                 amount_parts=PARTS),
        call("c", account="acme", currency="USD", amount="-0.005", corrects=target["id"]),
    )  # fmt: skip
    names = ledger.kept.ingest.accounts.ids(None)
    before = await focus(ledger), await focus(ledger, names["umbra"])
    assert len(before[0]) > len(before[1]) > 5
    monkeypatch.setattr(parquet, "GROUP_ROWS", 8)
    await ledger.freeze()
    assert await ledger.stored() == 1
    assert (await focus(ledger), await focus(ledger, names["umbra"])) == before
    await ledger.kept.report(*(old_call(number) for number in range(9)))  # these have come back, and count once
    assert (await focus(ledger), await focus(ledger, names["umbra"])) == before


async def test_files_that_move_meanwhile_change_no_charge(ledger: ColdLedger) -> None:
    """A list of files as old as it may be gives the same charges before, at and after each commit."""
    before = await focus(ledger)
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    await ledger.reader.clock.refresh()
    assert await focus(ledger) == before
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert await ledger.stored() == 1 and await focus(ledger) == before
    files = await ledger.files()
    await thaw(ledger.retention, files[0], actor="cli")
    assert await focus(ledger) == before
    await ledger.reader.clock.refresh()
    (ledger.folder / files[1].name).write_bytes(b"another")
    with pytest.raises(ColdFileError):
        await focus(ledger)


async def test_calls_in_files_are_not_priced_anew(ledger: ColdLedger) -> None:
    """The range is refused before anything is changed, and where calls move during the run, at that hour."""
    ingest = ledger.kept.ingest
    repricing = Repricing(ingest.database, ingest.accounts, Prices(shipped_prices()), lambda: ingest.applied.policy)
    within = RepriceRange(BASE - timedelta(hours=1), BASE + timedelta(days=10))
    hours = repricing.run(within, write=False)
    await anext(hours)
    await ledger.freeze()
    with pytest.raises(ColdTierError, match="thaw"):
        [hour async for hour in hours]
    with pytest.raises(ColdTierError, match="thaw"):
        await anext(repricing.run(within, write=True))
