"""What somebody does to the catalogue, the columns, the keys and the files behind our back, and how far a look goes."""

import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from manipulating import (
    Case,
    assert_named_everywhere,
    lift_behind,
    restrict_an_erasure,
    revive_key,
)
from retaining import NOW, SHORT

from policies import digest
from policies.evidence import LedgerKind
from service.keyring import HoldKeyName, KeyringUnavailableError
from service.ledger import Selection, accept_loss
from service.retention.audit.start_check import differences_at_start
from service.retention.replay import replay_tombstones


async def edit_kind(case: Case) -> None:
    await case.without_triggers("UPDATE ledger_entry SET kind = 'STARTED' WHERE index = 1")


async def edit_actor(case: Case) -> None:
    await case.without_triggers("UPDATE ledger_entry SET actor = 'system' WHERE index = 1")


async def edit_moment(case: Case) -> None:
    await case.without_triggers("UPDATE ledger_entry SET recorded_at = recorded_at - interval '1 s' WHERE index = 1")


async def no_row_security(case: Case) -> None:
    await case.sql("ALTER TABLE call DISABLE ROW LEVEL SECURITY")


async def no_policy(case: Case) -> None:
    await case.sql("DROP POLICY scoped ON call_error")


async def open_policy(case: Case) -> None:
    await case.sql("ALTER POLICY scoped ON call USING (true)")


async def more_grants(case: Case) -> None:
    await case.sql("GRANT DELETE ON call TO calledger_app_all")


async def a_granted_partition(case: Case) -> None:
    name = await case.retained.value("SELECT name FROM calledger_partitions('{call}') LIMIT 1")
    await case.sql(f"GRANT SELECT ON {name} TO calledger_app")


async def no_trigger(case: Case) -> None:
    await case.sql("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")


async def dropped_trigger(case: Case) -> None:
    await case.sql("DROP TRIGGER append_only ON ledger_checkpoint")


async def detach_live(case: Case) -> None:
    name = await case.retained.value("SELECT name FROM calledger_partitions('{call}') ORDER BY start_at LIMIT 1")
    await case.sql(f"ALTER TABLE call DETACH PARTITION {name}")


@pytest.mark.parametrize(
    ("manipulate", "check", "says"),
    [
        (edit_kind, "columns", "entry 1 of the ledger: its columns say something else"),
        (edit_actor, "columns", "entry 1 of the ledger: its columns say something else"),
        (edit_moment, "columns", "entry 1 of the ledger: its columns say something else"),
        (no_row_security, "row security", "row-level security of `call` is switched off"),
        (no_policy, "row security", "the policy `scoped` of `call_error` is missing"),
        (open_policy, "row security", "the policy `scoped` of `call` shows other rows"),
        (more_grants, "row security", "has the privilege DELETE on `call`, which it must not have"),
        (a_granted_partition, "row security", "has the privilege SELECT on `call_t1_"),
        (no_trigger, "row security", "the trigger `append_only` of `ledger_entry` is switched off"),
        (dropped_trigger, "row security", "the trigger `append_only` of `ledger_checkpoint` is missing"),
        (detach_live, "partitions", "(detached and not dropped)"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_the_catalogue_and_the_columns_lie_about_is_named(
    case: Case, manipulate: Callable[[Case], Awaitable[None]], check: str, says: str
) -> None:
    """What guards the rows and the ledger is looked at in the catalogue: by fsck, by attest, and at start."""
    await manipulate(case)

    await assert_named_everywhere(case, check, says)


async def drop_live(case: Case) -> None:
    name = await case.retained.value("SELECT name FROM calledger_partitions('{call}') ORDER BY start_at DESC LIMIT 1")
    await case.sql(f"DROP TABLE {name}")


async def delete_calls(case: Case) -> None:
    await case.sql("DELETE FROM call WHERE source_id = 'young'")


async def other_model(case: Case) -> None:
    await case.sql("UPDATE call SET model = 'cheaper' WHERE source_id = 'young'")


async def delete_note(case: Case) -> None:
    await case.sql("DELETE FROM ledger_note WHERE index = (SELECT max(index) FROM ledger_note)")


async def edit_note(case: Case) -> None:
    await case.sql("UPDATE ledger_note SET text = 'another reason'")


async def add_note(case: Case) -> None:
    await case.sql("INSERT INTO ledger_note (index, salt, text) VALUES (0, $1, 'never written')", bytes(32))


async def swap_sealed(case: Case) -> None:
    await case.sql("""
        UPDATE call_error AS one SET sealed = other.sealed FROM call_error AS other
        WHERE one.id <> other.id AND one.sealed IS NOT NULL AND other.sealed IS NOT NULL
    """)


async def overwrite_key(case: Case) -> None:
    [path, *_] = sorted(case.folder.glob("keyring/packs/periods/*/*/*"))
    content = path.read_bytes()
    at = len(content) - len(content.lstrip(b"\0")) + 20
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


async def edit_mirror(case: Case) -> None:
    [path] = case.folder.glob("data/ledger/1/entries-*.ndjson")
    path.write_bytes(path.read_bytes().replace(b'"index":2,', b'"index":3,'))


async def empty_mirror(case: Case) -> None:
    [path] = case.folder.glob("data/ledger/1/entries-*.ndjson")
    path.write_bytes(b"")


async def delete_mirror(case: Case) -> None:
    shutil.rmtree(case.folder / "data" / "ledger")
    await case.start()


async def cut_tail(case: Case) -> None:
    shutil.rmtree(case.folder / "data" / "ledger")
    size = await case.retained.ledger.size() - 2
    await case.without_triggers(f"DELETE FROM ledger_checkpoint WHERE size > {size}")
    await case.without_triggers(f"DELETE FROM ledger_entry WHERE index >= {size}")


async def swap_persons(case: Case) -> None:
    await case.sql("UPDATE call SET user_token = 7 WHERE source_id = 'other'")


async def other_source_id(case: Case) -> None:
    await case.sql("UPDATE call SET source_id = 'yonder' WHERE source_id = 'young'")


async def other_source(case: Case) -> None:
    await case.sql("UPDATE call SET source = 99 WHERE source_id = 'young'")


async def held_of_another_model(case: Case) -> None:
    await case.retained.hold(model=await case.retained.value("SELECT model FROM call LIMIT 1"))
    await restrict_an_erasure(case)
    await case.sql("UPDATE call_error_held SET error_code = 'x', model = 'zz'")


async def held_with_another_error(case: Case) -> None:
    await restrict_an_erasure(case)
    await case.sql("UPDATE call_error_held SET error_type = 'Harmless'")


async def unclaimed_bill(case: Case) -> None:
    await case.sql("UPDATE schema_program SET applied_at = '2001-01-01Z'")
    await case.sql("UPDATE call SET source = 2, operation = 'batch' WHERE source_id = 'young'")


@pytest.mark.parametrize(
    ("manipulate", "check", "says"),
    [
        (swap_persons, "ids", "is not as its call is"),
        (other_source_id, "ids", "has another id than its source id and start give"),
        (other_source, "ids", "has another id than its source id and start give"),
        (held_of_another_model, "held copies", "does not name the copy of error"),
        (held_with_another_error, "held copies", "is not as its row in the store"),
        (unclaimed_bill, "bills", "has no claim: another poll may bill it again"),
        (drop_live, "usage", "differ from their calls"),
        (delete_calls, "usage", "differ from their calls"),
        (other_model, "usage", "differ from their calls"),
        (delete_note, "notes", "is gone, and no entry says that it was erased"),
        (edit_note, "notes", "is not the one that was written"),
        (add_note, "notes", "the note of entry 0 is not the one that was written"),
        (swap_sealed, "sealed", "does not open: it, or its key, is another"),
        (overwrite_key, "keyring", "does not open"),
        (edit_mirror, "mirror", "the mirror of the ledger is damaged"),
        (empty_mirror, "mirror", "it ends after 0 entries"),
        (delete_mirror, "mirror", "it was gone, with"),
        (cut_tail, "history", "history was cut: the keyring remembers"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_only_a_long_look_finds_is_in_the_statement(
    case: Case, manipulate: Callable[[Case], Awaitable[None]], check: str, says: str
) -> None:
    """Rows, notes, sealed details, keys and the mirror: fsck names what was done, and attest says the same."""
    await manipulate(case)
    found, attested = await case.fsck(), await case.attested()

    assert says in found[check], found
    assert any(says in finding for finding in attested.values()), attested


async def test_a_history_that_was_cut_is_said_until_somebody_answers_for_it(case: Case) -> None:
    """Signing on does not make the keyring forget; accepting the loss does, with an entry that says what was lost."""
    await cut_tail(case)
    await case.start()
    assert any("history was cut" in one for one in await differences_at_start(case.retained.retention))
    for _ in range(4):
        await case.retained.ledger.append(LedgerKind.STARTED, {"policy": digest(SHORT)}, actor="system")
    await case.start()
    assert "history was rewritten" in (await case.fsck())["history"]
    index = await accept_loss(case.retained.ledger, reason="an old backup", actor="cli")
    await case.start()
    entry = await case.retained.ledger.entry(index)
    assert (entry.kind, "old_size" in entry.facts, entry.note) == (LedgerKind.RESTORED, True, "an old backup")
    assert "history" not in await case.fsck()


async def test_a_hold_that_is_lifted_in_the_table_alone_keeps_its_key(case: Case) -> None:
    """What is destroyed again at start is what the ledger says was ended: of a forged row no key dies."""
    retained = case.retained
    await retained.retention.keyring.key(HoldKeyName(UUID(case.hold)), mint=True)
    await lift_behind(case)
    await replay_tombstones(retained.retention.owner, retained.retention.keyring, retained.ledger)
    assert await retained.retention.keyring.key(HoldKeyName(UUID(case.hold)), mint=False)


async def test_without_its_keyring_a_start_says_what_it_did_not_look_at(case: Case) -> None:
    """The history that the keyring remembers cannot be compared while it is away; all the rest is."""
    await revive_key(case)

    class Away:
        def __getattr__(self, _: str) -> Any:
            raise KeyringUnavailableError

    case.retained.ledger.keyring = Away()  # type: ignore[assignment] - a keyring whose home does not answer
    said = await differences_at_start(case.retained.retention)
    assert any(one.startswith("history was not looked at") for one in said)
    assert any("was revoked by entry" in one for one in said)


async def test_the_ledger_is_served_by_its_leaves(case: Case) -> None:
    """Whoever edits the columns beside a leaf changes neither what is shown nor what a filter by kind finds."""
    ledger = case.retained.ledger
    before = [(one.kind, one.actor) for one in await ledger.page(Selection(), first=50)]
    await case.without_triggers("UPDATE ledger_entry SET kind = 'STARTED', actor = 'system', recorded_at = 'epoch'")
    assert [(one.kind, one.actor) for one in await ledger.page(Selection(), first=50)] == before
    applied = Selection(kinds=(LedgerKind.POLICY_APPLIED,), recorded_from=NOW - timedelta(days=1))
    assert [one.kind for one in await ledger.page(applied, first=50)] == [LedgerKind.POLICY_APPLIED]
