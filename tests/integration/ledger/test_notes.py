"""People's words beside the ledger: without credentials from the first, and erased with whom they name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from retaining import SHORT, YOUNG, RetainedLedger, failed, open_retained
from rows import SeededLedger

from policies import Role
from policies.evidence import read_leaf
from service.access.issuing import ApiKeys
from service.ledger import KeyRegister, LedgerKind, Selection
from service.query.reader import Reader
from service.retention.erasure import notes
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.erasure.notes import ERASED, NotesError, erase_notes, erase_notes_naming
from service.retention.holds.holds import get_hold, lift_hold

KEY = "sk-proj-" + "Zt9qLw3Xv7Rk2Np5" * 3
ERASE = """mutation($in: EraseNotesInput!) { eraseNotes(input: $in) { erased ledgerIndex } }"""


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path) as retained:
        await retained.report(failed("a", YOUNG, user="u-17"), failed("b", YOUNG, user="u-17", account="other"))
        yield retained


async def texts(retained: RetainedLedger) -> list[str]:
    return await retained.column("SELECT text FROM ledger_note ORDER BY index")


async def reopened(retained: RetainedLedger) -> SeededLedger:
    retention = retained.retention
    reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
    return SeededLedger(retention.database, retention.accounts, retention.keyring, SHORT, retention.partitions, reader)


async def noted(retained: RetainedLedger, note: str, **facts: Any) -> int:
    return await retained.ledger.append(LedgerKind.ERROR_REVEALED, facts, actor="cli", note=note)


async def test_a_credential_typed_as_a_reason_is_not_kept(retained: RetainedLedger) -> None:
    """Reasons of reveals, holds, lifts and erasures, and names of holds, lose it before they are stored; words stay."""
    await noted(retained, f"ticket 4711, key {KEY}")
    hold = await retained.hold()
    await lift_hold(retained.retention, hold.id, reason=f"settled, token {KEY}", actor="cli")
    await request_erasure(
        retained.retention, kind=ErasureKind.USER, account="acme", user="u-9", reason=f"asked, {KEY}", actor="cli"
    )

    kept = await texts(retained)
    assert not any(KEY in text for text in kept)
    assert [text.split(",")[0] for text in kept if "[redacted:" in text] == ["ticket 4711", "settled", "asked"]
    rows = await retained.column("SELECT hold::text || erasure::text FROM hold, erasure")
    assert not any(KEY in row for row in rows)


async def test_a_hold_repeats_no_credential(retained: RetainedLedger) -> None:
    """What the table of holds repeats of its note has lost the credential too, and is what the note says."""
    seeded = await reopened(retained)
    place = """mutation($reason: String!) { placeHold(input: {name: "case 17", owner: "counsel", reason: $reason,
        scope: {account: "acme"}, classes: [OPERATIONAL]}) { hold { reason } } }"""
    services = {"retention": retained.retention}
    result = await seeded.ask(place, seeded.scope(Role.COMPLIANCE), {"reason": f"suit, {KEY}"}, services=services)

    assert result.errors is None, result.errors
    reason = result.data["placeHold"]["hold"]["reason"]
    assert reason.startswith("suit, [redacted:")
    assert await texts(retained) == [f"case 17\ncounsel\n{reason}"]
    assert await retained.findings() == {}


async def test_what_a_hold_names_is_as_calls_have_it(retained: RetainedLedger) -> None:
    """A key pasted in the place of its name is in no row, and the hold holds the calls that were reported with it."""
    pasted = "sk-proj-Zz9Kq2mN8xVb4TzWc9LrAbCdEf"
    await retained.report(failed("pasted", api_key=pasted))

    hold = await retained.hold(api_key=pasted, model=None)

    (stored,) = await retained.ingest.fetch("SELECT api_key FROM call WHERE source_id = 'pasted'")
    assert hold.api_key == stored["api_key"]
    assert pasted not in str(await retained.ingest.fetch("SELECT * FROM hold"))


@pytest.mark.parametrize("lifted_first", [True, False])
async def test_what_an_ended_hold_named_is_erased_with_its_note(retained: RetainedLedger, lifted_first: bool) -> None:
    """The model and the API key of its scope go with its name and owner; while it is in force they stay."""
    hold = await retained.hold(api_key="jane-doe", model="m-of-jane")
    assert hold.ledger_index is not None

    async def erase() -> None:
        await erase_notes(retained.retention, [hold.ledger_index], reason="asked by letter", actor="cli")

    if not lifted_first:
        await erase()
        assert await retained.value("SELECT api_key FROM hold") == "jane-doe"
    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    if lifted_first:
        await erase()

    row = await retained.ingest.fetch("SELECT name, model, api_key FROM hold")
    assert [tuple(one) for one in row] == [(ERASED, ERASED, ERASED)]
    assert await retained.findings() == {}


async def test_erasing_notes_is_ledgered_and_reaches_what_repeats_them(retained: RetainedLedger) -> None:
    """Text and salt are gone, the hold's own copy too; the leaves stay, and an entry says whose notes went, and why."""
    hold = await retained.hold()
    index = await noted(retained, "Ms. Example asked")
    assert hold.ledger_index is not None
    root = await retained.ledger.root(2)
    done = await erase_notes(retained.retention, [hold.ledger_index, index], reason="asked by letter", actor="cli")

    assert done.indexes == (hold.ledger_index, index)
    after = await get_hold(retained.retention.owner, hold.id)
    assert after is not None and (after.name, after.owner, after.reason) == (ERASED, ERASED, None)
    (entry,) = await retained.ledger.page(Selection(kinds=(LedgerKind.NOTES_ERASED,)), first=9)
    assert (entry.index, dict(entry.facts)) == (done.ledger_index, {"entries": list(done.indexes)})
    assert await texts(retained) == ["asked by letter"]
    assert await retained.ledger.root(2) == root
    assert await retained.findings() == {}
    with pytest.raises(NotesError, match="none of these entries"):
        await erase_notes(retained.retention, done.indexes, reason="again", actor="cli")


async def test_erasing_the_note_of_a_key_takes_its_name(retained: RetainedLedger) -> None:
    """A key's name stands beside its entry and in the table of keys: both go, and the key works on."""
    retention = retained.retention
    keys = ApiKeys(retention.accounts, retention.keyring, retained.ledger, KeyRegister(retained.ledger))
    issued = await keys.create(Role.VIEWER, accounts=None, name="Ms. Example's laptop")
    other = await keys.create(Role.VIEWER, accounts=None, name="the page of finance")
    done = await erase_notes_naming(retention, "Ms. Example", reason="asked by letter", actor="cli")

    assert len(done.indexes) == 1
    kept = {row["prefix"]: row["name"] for row in await retention.owner.fetch("SELECT prefix, name FROM api_key")}
    assert (kept[issued.record.prefix], kept[other.record.prefix]) == (None, "the page of finance")
    assert await texts(retained) == ["the page of finance", "asked by letter"]


async def test_compliance_erases_notes_and_others_do_not(retained: RetainedLedger) -> None:
    """`eraseNotes` is for compliance keys that are bound to no account, and for admins; its answer says which went."""
    first, second = await noted(retained, "Ms. Example asked"), await noted(retained, "Mr. Other asked")
    seeded, services = await reopened(retained), {"retention": retained.retention}
    wanted = {"in": {"indexes": [str(first)], "reason": "asked by letter"}}
    for scope in (seeded.scope(Role.AUDITOR), seeded.scope(Role.SUPPORT), seeded.scope(Role.COMPLIANCE, 1)):
        refused = await seeded.ask(ERASE, scope, wanted, services=services)
        assert refused.errors[0].extensions["code"] == "FORBIDDEN"
    result = await seeded.ask(ERASE, seeded.scope(Role.COMPLIANCE), wanted, services=services)

    assert result.errors is None, result.errors
    assert result.data["eraseNotes"] == {"erased": [str(first)], "ledgerIndex": str(second + 1)}
    assert await texts(retained) == ["Mr. Other asked", "asked by letter"]


async def test_erasing_a_person_erases_the_notes_that_name_them(retained: RetainedLedger) -> None:
    """Notes with the id as a word of its own go, but for those about another account and those of holds in force."""
    acme, other = [await retained.retention.accounts.find(name) for name in ("acme", "other")]
    await noted(retained, "why did U-17's call fail?", account=acme)
    await noted(retained, "u-17 of another account", account=other)
    await noted(retained, "u-171 is somebody else", account=acme)
    await retained.hold(model="nothing")
    await request_erasure(
        retained.retention, kind=ErasureKind.USER, account="acme", user="u-17", reason="u-17 wrote to us", actor="cli"
    )

    left = await texts(retained)
    assert left == ["u-17 of another account", "u-171 is somebody else", "case 17\ncounsel\nsuit", ERASED]
    assert "NOTES_ERASED" in await retained.kinds()
    leaf = await retained.value("SELECT leaf FROM ledger_entry WHERE kind = 'NOTES_ERASED'")
    assert "erasure" in read_leaf(leaf).facts
    assert await retained.findings() == {}


async def test_erasing_an_account_erases_the_notes_that_name_it(retained: RetainedLedger) -> None:
    """The account's name is in no note afterwards, the reason of the erasure included."""
    await noted(retained, "Acme, by its counsel")
    await noted(retained, "acmeists have nothing to do with it")
    await request_erasure(
        retained.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="acme left us", actor="cli"
    )

    assert await texts(retained) == ["acmeists have nothing to do with it", ERASED]


async def test_notes_are_found_by_what_they_name(retained: RetainedLedger) -> None:
    """Without an index, by a word of its own in any case and width; who names nobody is told so."""
    await noted(retained, "for JANE@example.com, urgently")
    await noted(retained, "for mjane@example.com")
    done = await erase_notes_naming(retained.retention, "jane@example.com", reason="asked", actor="cli")

    assert done.indexes == (0,)
    assert (await texts(retained))[0] == "for mjane@example.com"
    with pytest.raises(NotesError, match="no note names them"):
        await erase_notes_naming(retained.retention, "nobody", reason="asked", actor="cli")


@pytest.mark.parametrize(
    ("indexes", "reason"), [([], "r"), ([0], " "), ([0], "x" * 1501), (range(notes.INDEXES_MAX + 1), "r"), ([7], "r")]
)
async def test_what_makes_no_sense_is_refused(retained: RetainedLedger, indexes: list[int], reason: str) -> None:
    """No entry, too many, one without a note, or no reason: nothing is erased and nothing ledgered."""
    await noted(retained, "stays")
    with pytest.raises(NotesError):
        await erase_notes(retained.retention, indexes, reason=reason, actor="cli")
    assert (await texts(retained), await retained.kinds()) == (["stays"], ["ERROR_REVEALED"])
