"""`calledger hold export`: what a hold keeps, for its case, and in the ledger before it is read."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ingesting import call
from retaining import OLD, YOUNG, RetainedLedger, failed, open_retained

from policies.policy.model import DataClass
from service.access.authenticate import Authenticator
from service.access.issuing import ApiKeys
from service.commands.evidence.ledger import write_lines
from service.export import held_rows
from service.ledger import KeyRegister, LedgerKind, LedgerPublisher
from service.retention.errors import HoldError
from service.retention.holds.holds import StoredHold, get_hold, lift_hold
from service.runtime.runtime import Runtime
from service.settings import Settings
from service.storage.ids import encode_call_id

PERSON = "+49 30 901820"


@pytest.fixture
async def retained(any_database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(any_database_url, tmp_path) as retained:
        yield retained


async def exported(
    retained: RetainedLedger, hold: StoredHold, folder: Path, *, reveal: bool = False, reason: str | None = None
) -> list[dict[str, Any]]:
    """The rows of the file, read back."""
    retention, file = retained.retention, folder / "case.ndjson"
    register = KeyRegister(retained.ledger)
    runtime = Runtime(
        Settings(data=folder), retention.database, retention.accounts, retained.ingest.applied, retention.keyring,
        retention.partitions, Authenticator(b"", register),
        ApiKeys(retention.accounts, retention.keyring, retained.ledger, register),
        retained.ledger, await LedgerPublisher.start(retained.ledger, folder),
    )  # fmt: skip
    async with (
        retention.owner.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = await held_rows(runtime, connection, hold, reveal=reveal, reason=reason, actor="cli")
        await write_lines(file, rows.lines, lambda: None)
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(found) == rows.calls + rows.errors
    return found


async def filled(retained: RetainedLedger, *classes: DataClass) -> StoredHold:
    """A purged ledger with a hold on one account."""
    error = {"type": "E", "code": "429", "message": f"call {PERSON} for more quota", "parameters": {"temperature": 0.5}}
    await retained.report(
        failed("a", user="u1", amount="0.10", currency="EUR") | {"error": {**error, "occurred_at": OLD.isoformat()}},
        call("b", started_at=(OLD + timedelta(hours=1)).isoformat(), account="acme", amount="0.123456789012"),
        failed("c", account="other"),
        failed("young", YOUNG),
    )
    hold = await retained.hold(*classes)
    await retained.purge()
    return hold


async def test_the_copies_of_one_hold_come_out(retained: RetainedLedger, tmp_path: Path) -> None:
    """Calls and then errors, with GraphQL's names, exact money and the ids that were given out; nobody else's rows."""
    hold = await filled(retained)
    await retained.hold(account="other")
    rows = await exported(retained, hold, tmp_path)
    number = hold.account_id

    assert [(row["type"], row.get("sourceId")) for row in rows] == [("Call", "a"), ("Call", "b"), ("CallError", None)]
    first, second, error = rows
    ids = await retained.column("SELECT id FROM call_held WHERE hold_id = $1 ORDER BY source_id", hold.id)
    assert [first["id"], second["id"]] == [encode_call_id(number, one) for one in ids]
    assert (first["status"], first["account"], first["amount"]["currency"]) == ("FAILED", "acme", "EUR")
    assert second["amount"]["amount"] == "0.123456789012"
    assert first["user"].startswith("usr_")
    assert (error["call"], error["user"], error["errorCode"]) == (first["id"], first["user"], "429")
    assert error["parameters"] == {"temperature": {"value": "0.5", "action": "KEPT"}}


async def test_sealed_text_is_masked_unless_it_is_revealed(retained: RetainedLedger, tmp_path: Path) -> None:
    """What a rule found comes out for a reason only, which is a note of the ledger's entry and not in its leaf."""
    hold = await filled(retained)
    masked = (await exported(retained, hold, tmp_path))[-1]["message"]
    assert PERSON not in masked and "[redacted:" in masked
    _, leaf = await retained.ledger.newest(LedgerKind.EXPORTED)
    assert (leaf.facts["revealed"], leaf.note, leaf.actor) == (False, None, "cli")

    revealed = (await exported(retained, hold, tmp_path, reveal=True, reason="order of 12 May"))[-1]["message"]
    assert revealed == f"call {PERSON} for more quota"
    index, leaf = await retained.ledger.newest(LedgerKind.EXPORTED)
    assert dict(leaf.facts) == {
        "hold": str(hold.id), "account": hold.account_id, "calls": 2, "errors": 1, "revealed": True,
    }  # fmt: skip
    entry = await retained.ledger.entry(index)
    assert (entry.note, b"order" in entry.leaf) == ("order of 12 May", False)


@pytest.mark.parametrize("reason", [None, "", "  ", "x" * 501, "bell\a"])
async def test_nothing_is_revealed_without_a_reason(
    retained: RetainedLedger, tmp_path: Path, reason: str | None
) -> None:
    """Refused before anything is read or ledgered."""
    hold = await filled(retained)
    with pytest.raises(HoldError, match="reason"):
        await exported(retained, hold, tmp_path, reveal=True, reason=reason)
    assert await retained.ledger.newest(LedgerKind.EXPORTED) is None
    assert not (tmp_path / "case.ndjson").exists()


async def test_a_lifted_hold_has_nothing_to_give(retained: RetainedLedger, tmp_path: Path) -> None:
    """After it was lifted the copies and their key are gone, and the export says so."""
    hold = await filled(retained)
    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    lifted = await get_hold(retained.retention.owner, hold.id)
    assert lifted is not None
    with pytest.raises(HoldError, match="lifted"):
        await exported(retained, lifted, tmp_path)


async def test_what_a_hold_does_not_keep_is_not_in_the_file(retained: RetainedLedger, tmp_path: Path) -> None:
    """Without the personal class there is neither pseudonym nor message; without copies there are no rows."""
    hold = await filled(retained, DataClass.OPERATIONAL)
    rows = await exported(retained, hold, tmp_path)
    assert {row["user"] for row in rows} == {None}
    assert (rows[-1]["message"], rows[-1]["parameters"]) == (None, None)
    assert await exported(retained, replace(hold, id=(await retained.hold()).id), tmp_path) == []
