"""Which entries a bundle has, and under whose signature, also after the ledger was handed to another signer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledgers import DATABASE_ID, new_keyring, open_ledger

from policies.evidence import verify
from service.ledger import (
    Checkpoints,
    EntryRange,
    Ledger,
    LedgerKind,
    LedgerRangeError,
    LedgerSignerError,
    SignedCheckpoint,
    entry_range_of,
    evidence_lines,
    record_evidence,
)


@pytest.fixture
async def ledger(any_database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(any_database_url, tmp_path) as ledger:
        yield ledger


async def fill(ledger: Ledger, count: int) -> None:
    for number in range(count):
        await ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli")


async def recorded(ledger: Ledger, span: EntryRange) -> SignedCheckpoint:
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        return await record_evidence(ledger, span, {}, actor="cli", connection=connection)


async def test_a_bundle_is_the_same_whenever_it_is_written(ledger: Ledger) -> None:
    """What the ledger grows by after the record is not in the bundle, and it verifies all the same."""
    await fill(ledger, 3)
    issued = await recorded(ledger, EntryRange(1))
    await fill(ledger, 4)
    found = verify([line async for line in evidence_lines(ledger, 1, issued)], key=issued.public_key)
    assert (found.checkpoint.size, dict(found.kinds)) == (4, {"EXPORTED": 2, "EVIDENCE_CREATED": 1})


async def test_a_record_that_is_rolled_back_was_never_made(ledger: Ledger) -> None:
    """Entry and checkpoint are those of the transaction: without it there is neither."""
    await fill(ledger, 2)
    async with ledger.database.owner.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        issued = await record_evidence(ledger, EntryRange(0), {}, actor="cli", connection=connection)
        await transaction.rollback()
    assert (issued.size, await ledger.size(), await Checkpoints(ledger).at(3)) == (3, 2, None)


async def test_after_a_rotation_bundles_are_the_successors(ledger: Ledger, tmp_path: Path) -> None:
    """A period before the rotation ends with it, and leads from the old key to the new; the old signer's is refused."""
    await fill(ledger, 2)
    old = await Checkpoints(ledger).sign()
    (tmp_path / "other").mkdir()
    successor = await new_keyring(tmp_path / "other")
    index = await Checkpoints(ledger).rotate_signer(await successor.secret("signer"), actor="cli")
    handed = Ledger(ledger.database, successor, DATABASE_ID)
    issued = await recorded(handed, EntryRange(0, 1))

    assert issued.size == index + 1
    found = verify([line async for line in evidence_lines(handed, 0, issued)], key=old.public_key)
    assert found.key_checked
    with pytest.raises(LedgerSignerError):
        _ = [line async for line in evidence_lines(handed, 0, old)]


async def test_a_span_is_within_the_ledger(ledger: Ledger) -> None:
    """From nothing to all of it, and not beyond."""
    await fill(ledger, 3)
    assert await entry_range_of(ledger) == EntryRange(0)
    assert await entry_range_of(ledger, since_size=3) == EntryRange(3)
    for since in (-1, 4, 2**63):
        with pytest.raises(LedgerRangeError):
            await entry_range_of(ledger, since_size=since)
