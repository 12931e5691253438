"""Files are written anew without a person or an account: nothing of theirs is left in any, and all else is there."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from cold_ledgers import NOTHING, ColdLedger, opened, paged
from retaining import Killed

from service.retention.cold.rewrite import keep_cold, rewrite, waiting
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.holds.holds import lift_hold
from service.retention.maintenance import maintain

pytestmark = pytest.mark.plain("calls in files of the cold tier")

PERSON = {"kind": ErasureKind.USER, "account": "acme", "user": "u-1", "reason": "asked", "actor": "cli"}
ACCOUNT = {"kind": ErasureKind.ACCOUNT, "account": "acme", "user": None, "reason": "asked", "actor": "cli"}


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ColdLedger]:
    async with opened(database_url, tmp_path) as ledger:
        await ledger.freeze()
        yield ledger


def rows_in_files(ledger: ColdLedger) -> list[dict[str, Any]]:
    """What the files of the folder have, read without any code of ours."""
    return [row for path in sorted(ledger.folder.glob("call_t*")) for row in pq.read_table(path).to_pylist()]


async def tokens(ledger: ColdLedger) -> set[int]:
    """The pseudonyms of the person that is to be erased."""
    texts = [f"trace-{number}" for number in range(120) if number % 4 == 1 and number % 3]
    return {row["user_token"] for row in rows_in_files(ledger) if row["trace_id"] in texts}


async def test_a_person_is_in_no_file(ledger: ColdLedger) -> None:
    """The pseudonyms are gone from the files, whose other rows are as they were, and the ledger has what happened."""
    before, ids, theirs = rows_in_files(ledger), await paged(ledger, 200), await tokens(ledger)
    old = {file.name for file in await ledger.files()}
    assert theirs and None not in theirs
    await request_erasure(ledger.retention, **PERSON)
    assert await waiting(ledger.retention)
    assert {file.partition for file in await rewrite(ledger.retention, actor="cli", lease=NOTHING)}
    assert await ledger.stored() == 1 and not await waiting(ledger.retention)
    after = rows_in_files(ledger)
    assert not theirs & {row["user_token"] for row in after}
    assert not old & {path.name for path in ledger.folder.iterdir()}
    known = {row["trace_id"]: row for row in before}
    for row in after:
        expected = known[row["trace_id"]]
        assert row == expected | {"user_token": None if expected["user_token"] in theirs else expected["user_token"]}
    await ledger.reader.clock.refresh()
    assert await paged(ledger, 50) == ids
    kinds = await ledger.kept.kinds()
    assert kinds.count("PARTITION_THAWED") == len(old) and kinds.count("PARTITION_FROZEN") == 2 * len(old)
    assert (await ledger.kept.findings()).keys() <= {"deadlines"}


async def test_an_account_is_in_no_file(ledger: ColdLedger) -> None:
    """Its rows are gone from the files, and those of others are there."""
    number = ledger.kept.ingest.accounts.ids(None)["acme"]
    others = [row for row in rows_in_files(ledger) if row["account_id"] != number]
    await request_erasure(ledger.retention, **ACCOUNT)
    await rewrite(ledger.retention, actor="cli", lease=NOTHING)
    assert rows_in_files(ledger) == others and await ledger.stored() == 0


async def test_a_kill_is_gone_on_with(ledger: ColdLedger) -> None:
    """Ended after any step, the rounds of maintenance write the files, without CALLEDGER_COLD_DAYS too."""
    ids = await paged(ledger, 200)
    steps = ("file written", "file listed", "file verified", "rows deleted", "file frozen")
    for number, killed in enumerate(steps):
        await request_erasure(ledger.retention, **(PERSON | {"user": f"u-{number % 4}"}))

        def on_step(step: str, killed: str = killed) -> None:
            if step == killed:
                raise Killed(step)

        with pytest.raises(Killed):
            await rewrite(ledger.retention, actor="cli", lease=NOTHING, on_step=on_step)
        for _ in range(3):
            await ledger.retention.owner.execute("UPDATE cold_file SET copied_at = copied_at - interval '1 hour'")
            await keep_cold(ledger.retention)
        assert await ledger.stored() == 1 and not await waiting(ledger.retention), killed
        await ledger.reader.clock.refresh()
        assert await paged(ledger, 50) == ids
    number = ledger.kept.ingest.accounts.ids(None)["acme"]
    assert {row["user_token"] for row in rows_in_files(ledger) if row["account_id"] == number} == {None}


async def test_an_erasure_that_the_api_was_asked_for_reaches_files(ledger: ColdLedger) -> None:
    """One that is carried out later: until it is done nothing is written anew, and then it is."""
    theirs = await tokens(ledger)
    await request_erasure(ledger.retention, **PERSON, at_once=False)
    assert not await waiting(ledger.retention)
    await carry_out_erasures(ledger.retention)
    await rewrite(ledger.retention, actor="cli", lease=NOTHING)
    assert await ledger.stored() == 1 and not theirs & {row["user_token"] for row in rows_in_files(ledger)}


async def test_a_hold_keeps_a_file_from_being_written(ledger: ColdLedger) -> None:
    """While a hold is in force on the account its rows stay in the table, and then the file is written."""
    theirs = await tokens(ledger)
    hold = await ledger.kept.hold()
    await request_erasure(ledger.retention, **PERSON)
    assert await rewrite(ledger.retention, actor="cli", lease=NOTHING) == [] and await waiting(ledger.retention)
    assert rows_in_files(ledger) == []
    await lift_hold(ledger.retention, hold.id, reason="settled", actor="cli")
    assert await maintain(ledger.retention)
    await rewrite(ledger.retention, actor="cli", lease=NOTHING)
    assert await ledger.stored() == 1 and not theirs & {row["user_token"] for row in rows_in_files(ledger)}


async def test_a_file_that_somebody_puts_back_is_found(ledger: ColdLedger) -> None:
    """An old copy with the erased rows answers nothing under its own name or another's, and fsck names it."""
    old = {path.name: path.read_bytes() for path in ledger.folder.iterdir()}
    await request_erasure(ledger.retention, **PERSON)
    await rewrite(ledger.retention, actor="cli", lease=NOTHING)
    await ledger.reader.clock.refresh()
    ids = await paged(ledger, 50)
    for name, data in old.items():
        (ledger.folder / name).write_bytes(data)
    assert await paged(ledger, 50) == ids
    (file, *_) = await ledger.files()
    (ledger.folder / file.name).write_bytes(next(data for name, data in old.items() if file.partition in name))
    result = await ledger.ask("{ calls(first: 200) { nodes { id } } }")
    assert result.errors is not None and result.errors[0].extensions["code"] == "UNAVAILABLE"
    assert file.name in (await ledger.kept.findings())["cold tier"]
