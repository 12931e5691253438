"""What somebody does behind our back, with the database's owner at hand, and which of us notices.

Each manipulation is done to a ledger that is sound, by plain SQL or on the disk. `fsck` names it, the statement of
`attest` fails by the same words, and what can be told without reading every row is said at start and by `status`.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from http_server import Served, serve
from ingesting import call
from manipulating import Case
from rows import open_shelf
from steward import NOW, OLD, SHORT, Steward, failed, stewarding

from policies import Role, digest
from policies.evidence import LedgerKind
from policies.policy.model import DataClass
from service.access.keys import mac_digest, new_key
from service.keyring import HoldKeyName, KeyringUnavailableError
from service.ledger import Selection, accept_loss, read_record
from service.retention.account_names import record_accounts
from service.retention.audit.start_check import differences_at_start
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.holds.hold_condition import open_condition
from service.retention.holds.holds import lift_hold, release_lifted
from service.retention.replay import replay_tombstones
from service.storage.control.policies import store_policy
from service.storage.ids import public_id

KEY = "INSERT INTO api_key (prefix, role, accounts, mac, created_at) VALUES ($1, $2, NULL, $3, clock_timestamp())"


async def new_api_key(steward: Steward, role: Role) -> str:
    key = new_key(b"pepper")
    await steward.retention.owner.execute(KEY, key.prefix, role.value, key.mac)
    facts = {"key": key.prefix, "role": role.value, "accounts": None, "expires_at": None, "mac": mac_digest(key.mac)}
    await steward.ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="cli")
    return key.prefix


@pytest.fixture
async def case(database_url: str, tmp_path: Path) -> AsyncIterator[Case]:
    """Calls of two ages, an error, two holds, an erasure, a purge, a policy, keys, and a move to another tier."""
    async with stewarding(database_url, tmp_path) as steward:
        case = Case(steward, tmp_path)
        await steward.ledger.append(LedgerKind.STARTED, {"policy": digest(SHORT)}, actor="system")
        await store_policy(steward.retention.owner, SHORT, applied_by="cli", approved_by="admin", ledger=steward.ledger)
        await steward.report(call("old", started_at=OLD.isoformat(), account="acme"))
        await steward.report(
            failed("held", NOW - timedelta(days=2), user="u1"),
            failed("young", NOW - timedelta(days=1)),
            failed("other", NOW - timedelta(days=2), user="u2"),
        )
        case.live = await new_api_key(steward, Role.AUDITOR)
        case.revoked = await new_api_key(steward, Role.VIEWER)
        await case.sql("UPDATE api_key SET revoked_at = now() WHERE prefix = $1", case.revoked)
        await steward.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": case.revoked}, actor="cli")
        case.hold = str((await steward.hold(DataClass.OPERATIONAL, model="m")).id)
        lifted = await steward.hold(account="acme")
        await lift_hold(steward.retention, lifted.id, reason="over", actor="cli")
        case.lifted = str(lifted.id)
        wanted = {"account": "acme", "user": "u1", "reason": "asked", "actor": "cli"}
        await request_erasure(steward.retention, kind=ErasureKind.USER, **wanted)
        await steward.purge()
        await steward.purge()  # and one that finds nothing due
        await steward.retention.accounts.ensure(["globex"])
        await record_accounts(steward.retention)
        await case.start()
        yield case


async def test_a_sound_ledger_is_sound(case: Case) -> None:
    """Nobody finds anything where nothing was done, nor after a purge that found nothing due."""
    assert await case.fsck() == {}
    await case.steward.purge()
    assert await case.fsck() == {}
    assert await differences_at_start(case.steward.retention) == []
    assert await case.attested() == {}


async def revive_key(case: Case) -> None:
    await case.sql("UPDATE api_key SET revoked_at = NULL WHERE prefix = $1", case.revoked)


async def raise_role(case: Case) -> None:
    await case.sql("UPDATE api_key SET role = 'admin' WHERE prefix = $1", case.live)


async def bind_key(case: Case) -> None:
    await case.sql("UPDATE api_key SET accounts = '[1]' WHERE prefix = $1", case.live)


async def other_secret(case: Case) -> None:
    await case.sql("UPDATE api_key SET mac = $2 WHERE prefix = $1", case.live, bytes(32))


async def make_key(case: Case) -> None:
    await case.sql(KEY, "smuggled", "admin", bytes(32))


async def delete_key(case: Case) -> None:
    await case.sql("DELETE FROM api_key WHERE prefix = $1", case.live)


async def end_key_late(case: Case) -> None:
    await case.sql("UPDATE api_key SET expires_at = now() + interval '9 years' WHERE prefix = $1", case.live)


async def delete_hold(case: Case) -> None:
    await case.sql("DELETE FROM hold WHERE id::text = $1", case.hold)
    await case.sql("DELETE FROM call_held WHERE hold_id::text = $1", case.hold)


async def lift_behind(case: Case) -> None:
    await case.sql("UPDATE hold SET lifted_at = now(), lifted_by = 'cli' WHERE id::text = $1", case.hold)


async def shorten_hold(case: Case) -> None:
    await case.sql("UPDATE hold SET expires_at = now() WHERE id::text = $1", case.hold)


async def narrow_hold(case: Case) -> None:
    await case.sql("UPDATE hold SET model = 'another' WHERE id::text = $1", case.hold)


async def other_owner(case: Case) -> None:
    await case.sql("UPDATE hold SET owner = 'nobody' WHERE id::text = $1", case.hold)


async def unlift_hold(case: Case) -> None:
    await case.sql("UPDATE hold SET lifted_at = NULL, lifted_by = NULL WHERE id::text = $1", case.lifted)


async def undo_erasure(case: Case) -> None:
    await case.sql("UPDATE erasure SET finished_at = NULL")


async def fewer_erased(case: Case) -> None:
    await case.sql("UPDATE erasure SET rows = rows + 7")


async def delete_erasure(case: Case) -> None:
    await case.sql("DELETE FROM erasure")


async def fewer_purged(case: Case) -> None:
    await case.sql("UPDATE purge_run SET rows_dropped = 7 WHERE rows_dropped > 0")


async def purged_earlier(case: Case) -> None:
    await case.sql("UPDATE purge_run SET finished_at = finished_at - interval '9 days' WHERE rows_dropped > 0")


async def other_plan(case: Case) -> None:
    await case.sql("""UPDATE purge_run SET plan = jsonb_set(plan, '{partitions,0,rows}', '5') WHERE rows_dropped > 0""")


async def delete_purge(case: Case) -> None:
    await case.sql("DELETE FROM purge_run WHERE rows_dropped > 0")


async def make_purge(case: Case) -> None:
    await case.sql("INSERT INTO purge_run SELECT gen_random_uuid(), state, plan_digest, plan, planned_at, finished_at,"
                   " requested_by, keys_destroyed, rows_dropped, failure, rows_held_back, ledger_index FROM purge_run"
                   " WHERE rows_dropped > 0")  # fmt: skip


async def empty_idle_plan(case: Case) -> None:
    await case.steward.purge()
    await case.sql("UPDATE purge_run SET plan = '{}' WHERE rows_dropped = 0")


async def other_idle_plan(case: Case) -> None:
    await case.steward.purge()
    await case.sql("UPDATE purge_run SET plan_digest = 'sha256:0' WHERE rows_dropped = 0")


async def last_purge_later(case: Case) -> None:
    await case.sql("UPDATE purge_run SET finished_at = now() + interval '25 hours' WHERE rows_dropped = 0")


async def idle_planned_earlier(case: Case) -> None:
    await case.sql("UPDATE purge_run SET planned_at = '2020-01-01' WHERE rows_dropped = 0")


async def idle_by_another(case: Case) -> None:
    await case.sql("UPDATE purge_run SET requested_by = 'mallory' WHERE rows_dropped = 0")


async def delete_idle(case: Case) -> None:
    await case.sql("DELETE FROM purge_run WHERE rows_dropped = 0")


async def make_idle(case: Case) -> None:
    await case.sql("INSERT INTO purge_run SELECT gen_random_uuid(), state, plan_digest, plan, now(), now(),"
                   " requested_by, 0, 0, NULL, 0, NULL FROM purge_run WHERE rows_dropped = 0")  # fmt: skip


async def rename_account(case: Case) -> None:
    await case.sql("UPDATE account SET name = 'acme2' WHERE name = 'acme'")


async def swap_accounts(case: Case) -> None:
    await case.sql("UPDATE account SET name = 'x' WHERE name = 'acme'")
    await case.sql("UPDATE account SET name = 'acme' WHERE name = 'globex'")
    await case.sql("UPDATE account SET name = 'globex' WHERE name = 'x'")


async def rename_with_salt(case: Case) -> None:
    await case.sql("UPDATE account SET name = 'acme2', name_salt = NULL WHERE name = 'acme'")
    await record_accounts(case.steward.retention)


async def erase_by_hand(case: Case) -> None:
    await case.sql("UPDATE account SET name = 'erased:x' WHERE name = 'acme'")


async def delete_account(case: Case) -> None:
    await case.sql("DELETE FROM account_tier WHERE account_id = (SELECT id FROM account WHERE name = 'globex')")
    await case.sql("DELETE FROM account WHERE name = 'globex'")


async def applied_by_another(case: Case) -> None:
    await case.sql(
        "UPDATE policy_version SET applied_by = 'k7m2xq9p' WHERE version = (SELECT max(version) FROM policy_version)"
    )


async def approved_by_another(case: Case) -> None:
    await case.sql("UPDATE policy_version SET approved_by = NULL")


async def delete_policy(case: Case) -> None:
    await case.sql("DELETE FROM policy_version WHERE version = (SELECT max(version) FROM policy_version)")


async def other_tier(case: Case) -> None:
    await case.sql("INSERT INTO account_tier (account_id, tier, from_at) VALUES (1, 9, '2031-01-01Z')")


async def restrict_an_erasure(case: Case) -> None:
    """As the ledger has it: an erasure of `u2`, which a hold blocks."""
    await case.steward.hold()
    wanted = {"account": "acme", "user": "u2", "reason": "asked", "actor": "cli"}
    await request_erasure(case.steward.retention, kind=ErasureKind.USER, **wanted)
    assert await case.fsck() == {}


async def unrestrict_erasure(case: Case) -> None:
    await restrict_an_erasure(case)
    await case.sql("UPDATE erasure SET restricted_at = NULL WHERE finished_at IS NULL")


async def forget_the_person(case: Case) -> None:
    await restrict_an_erasure(case)
    await case.sql("UPDATE erasure SET tokens = NULL WHERE finished_at IS NULL")


async def unblock_erasure(case: Case) -> None:
    await restrict_an_erasure(case)
    await case.sql("UPDATE erasure SET blocked_by = '[]' WHERE finished_at IS NULL")


async def block_erasure(case: Case) -> None:
    await case.sql("""UPDATE erasure SET blocked_by = '["7c3d9f8a-0000-4000-8000-000000000000"]'""")


async def unreadable_earlier(case: Case) -> None:
    await case.sql("UPDATE erasure SET unreadable_at = '2001-01-01Z'")


async def ghost_account(case: Case) -> None:
    await case.sql("INSERT INTO account (name, created_at) VALUES ('ghost', now())")


async def account_made_later(case: Case) -> None:
    await case.sql("UPDATE account SET created_at = now() + interval '1 day' WHERE name = 'acme'")


async def pretend_demo(case: Case) -> None:
    await case.sql("INSERT INTO installation (id, database_id, created_at, demo) VALUES (1, $1, now(), true)", uuid4())


async def write_an_export(case: Case) -> UUID:
    """One of the file of a key, with its entry, as `service.export` writes them."""
    id_ = uuid4()
    await case.sql(
        "INSERT INTO export (id, kind, state, requested_by, role, policy, request, requested_at, expires_at, rows,"
        " sha256) VALUES ($1, 'CALLS', 'READY', 'k7m2xq9p', 'admin', $2, '{}', now(), now() + interval '1 day', 3, $3)",
        id_, digest(SHORT), "sha256:" + "0" * 64,
    )  # fmt: skip
    facts = {"export": public_id("exp", id_), "kind": "CALLS", "format": "CSV", "rows": 3, "role": "admin"}
    facts |= {"sha256": "sha256:" + "0" * 64, "filter": "sha256:" + "0" * 64, "accounts": None}
    await case.steward.ledger.append(LedgerKind.EXPORTED, facts, actor="k7m2xq9p")
    assert await case.fsck() == {}
    return id_


async def export_of_another(case: Case) -> None:
    await write_an_export(case)
    await case.sql("UPDATE export SET requested_by = 'nobody00'")


async def empty_export(case: Case) -> None:
    await write_an_export(case)
    await case.sql("UPDATE export SET rows = 0")


async def delete_export(case: Case) -> None:
    await write_an_export(case)
    await case.sql("DELETE FROM export")


async def fetch_for_ever(case: Case) -> None:
    await write_an_export(case)
    await case.sql("UPDATE export SET expires_at = now() + interval '9 years'")


async def pretend_removal(case: Case) -> None:
    await case.sql("INSERT INTO field_removal VALUES (gen_random_uuid(), 'Call.provider', 1, now(), 3)")


async def smuggle_export(case: Case) -> None:
    id_ = await write_an_export(case)
    await case.sql("UPDATE export SET id = gen_random_uuid() WHERE id = $1", id_)


@pytest.mark.parametrize(
    ("manipulate", "check", "says"),
    [
        (unrestrict_erasure, "erasure record", "restricted_at is `20"),
        (forget_the_person, "erasure record", "pseudonyms in the ledger and 0 here"),
        (unblock_erasure, "erasure record", "in the ledger and not here"),
        (block_erasure, "erasure record", "is blocked by hold"),
        (unreadable_earlier, "erasure record", "unreadable_at is"),
        (ghost_account, "accounts", "has no tier that it began in"),
        (account_made_later, "accounts", "was made after entry"),
        (pretend_demo, "installation", "no sample calls are loaded by the ledger"),
        (export_of_another, "exports", "requested_by is `k7m2xq9p` in the ledger and `nobody00` here"),
        (empty_export, "exports", "rows is `3` in the ledger and `0` here"),
        (delete_export, "exports", "of the ledger and not here"),
        (fetch_for_ever, "exports", "later than any file"),
        (pretend_removal, "field removals", "is in no entry of the ledger: it is done again"),
        (smuggle_export, "exports", "is in no entry of the ledger"),
        (revive_key, "api keys", "was revoked by entry"),
        (raise_role, "api keys", "role is `auditor` in the ledger and `admin` here"),
        (bind_key, "api keys", "accounts is `none` in the ledger and `1` here"),
        (other_secret, "api keys", "mac is `sha256:"),
        (make_key, "api keys", "key `smuggled` is in no entry of the ledger"),
        (delete_key, "api keys", "of the ledger and not here"),
        (end_key_late, "api keys", "expires_at is `none` in the ledger"),
        (delete_hold, "hold record", "of the ledger and not here"),
        (lift_behind, "hold record", "is in force in the ledger and lifted here"),
        (shorten_hold, "hold record", "expires_at is `None` in the ledger"),
        (narrow_hold, "hold record", "selection is `sha256:"),
        (other_owner, "hold record", "its name, owner or reason is not the one in the note"),
        (unlift_hold, "hold record", "was lifted by entry"),
        (undo_erasure, "erasure record", "is done in the ledger and not done here"),
        (fewer_erased, "erasure record", "rows is"),
        (delete_erasure, "erasure record", "of the ledger and not here"),
        (fewer_purged, "purge record", "rows_dropped is `1` in the ledger and `7` here"),
        (purged_earlier, "purge record", "finished_at is"),
        (other_plan, "purge record", "the partitions of its plan had"),
        (delete_purge, "purge record", "of the ledger and not here"),
        (make_purge, "purge record", "has destroyed something, and is in no entry"),
        (empty_idle_plan, "purge record", "its plan cannot be read"),
        (other_idle_plan, "purge record", "its plan is not the one that its digest names"),
        (last_purge_later, "purge record", "finished_at is"),
        (idle_planned_earlier, "purge record", "planned_at is"),
        (idle_by_another, "purge record", "requested_by is `system` in the ledger and `mallory` here"),
        (delete_idle, "purge record", "of the ledger and not here"),
        (make_idle, "purge record", "has ended, and is in no entry of the ledger"),
        (rename_account, "accounts", "has another name than in entry"),
        (swap_accounts, "accounts", "has another name than in entry"),
        (rename_with_salt, "accounts", "has another name than in entry"),
        (erase_by_hand, "accounts", "is erased here, and in no entry of the ledger"),
        (delete_account, "accounts", "of the ledger and not here"),
        (applied_by_another, "policies", "applied_by is `cli` in the ledger and `k7m2xq9p` here"),
        (approved_by_another, "policies", "approved_by is `admin` in the ledger and `none` here"),
        (delete_policy, "policies", "of the ledger and not here"),
        (other_tier, "tiers", "account 1 is moved to tier 9"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_table_that_differs_from_the_ledger_is_named(
    case: Case, manipulate: Callable[[Case], Awaitable[None]], check: str, says: str
) -> None:
    """The row is named with what the ledger says and what the table says: by fsck, by attest, and at start."""
    await manipulate(case)
    found, at_start, attested = (
        await case.fsck(),
        await differences_at_start(case.steward.retention),
        await case.attested(),
    )

    assert says in found[check]
    assert any(says in one for one in at_start), at_start
    assert says in attested[f"fsck, {check}"]


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
    name = await case.steward.value("SELECT name FROM calledger_partitions('{call}') LIMIT 1")
    await case.sql(f"GRANT SELECT ON {name} TO calledger_app")


async def no_trigger(case: Case) -> None:
    await case.sql("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")


async def dropped_trigger(case: Case) -> None:
    await case.sql("DROP TRIGGER append_only ON ledger_checkpoint")


async def detach_live(case: Case) -> None:
    name = await case.steward.value("SELECT name FROM calledger_partitions('{call}') ORDER BY start_at LIMIT 1")
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
    found, at_start, attested = (
        await case.fsck(),
        await differences_at_start(case.steward.retention),
        await case.attested(),
    )

    assert says in found[check]
    assert any(says in one for one in at_start), at_start
    assert says in attested[f"fsck, {check}"]


async def drop_live(case: Case) -> None:
    name = await case.steward.value("SELECT name FROM calledger_partitions('{call}') ORDER BY start_at DESC LIMIT 1")
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
    [path, *_] = sorted(case.folder.glob("keyring/periods/*/*/*"))
    path.write_bytes(bytes(len(path.read_bytes())))


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
    size = await case.steward.ledger.size() - 2
    await case.without_triggers(f"DELETE FROM ledger_checkpoint WHERE size > {size}")
    await case.without_triggers(f"DELETE FROM ledger_entry WHERE index >= {size}")


async def swap_persons(case: Case) -> None:
    await case.sql("UPDATE call SET user_token = 7 WHERE source_id = 'other'")


async def other_source_id(case: Case) -> None:
    await case.sql("UPDATE call SET source_id = 'yonder' WHERE source_id = 'young'")


async def other_source(case: Case) -> None:
    await case.sql("UPDATE call SET source = 99 WHERE source_id = 'young'")


async def held_of_another_model(case: Case) -> None:
    await case.steward.hold(model=await case.steward.value("SELECT model FROM call LIMIT 1"))
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
    assert any("history was cut" in one for one in await differences_at_start(case.steward.retention))
    for _ in range(4):
        await case.steward.ledger.append(LedgerKind.STARTED, {"policy": digest(SHORT)}, actor="system")
    await case.start()
    assert "history was rewritten" in (await case.fsck())["history"]
    index = await accept_loss(case.steward.ledger, reason="an old backup", actor="cli")
    await case.start()
    entry = await case.steward.ledger.entry(index)
    assert (entry.kind, "old_size" in entry.facts, entry.note) == (LedgerKind.RESTORED, True, "an old backup")
    assert "history" not in await case.fsck()


async def test_a_hold_that_is_lifted_in_the_table_alone_keeps_its_key(case: Case) -> None:
    """What is destroyed again at start is what the ledger says was ended: of a forged row no key dies."""
    steward = case.steward
    await steward.retention.keyring.key(HoldKeyName(UUID(case.hold)), mint=True)
    await lift_behind(case)
    await replay_tombstones(steward.retention.owner, steward.retention.keyring, steward.ledger)
    assert await steward.retention.keyring.key(HoldKeyName(UUID(case.hold)), mint=False)


async def test_without_its_keyring_a_start_says_what_it_did_not_look_at(case: Case) -> None:
    """The history that the keyring remembers cannot be compared while it is away; all the rest is."""
    await revive_key(case)

    class Away:
        def __getattr__(self, _: str) -> Any:
            raise KeyringUnavailableError

    case.steward.ledger.keyring = Away()  # type: ignore[assignment] - a keyring whose home does not answer
    said = await differences_at_start(case.steward.retention)
    assert any(one.startswith("history was not looked at") for one in said)
    assert any("was revoked by entry" in one for one in said)


async def test_the_ledger_is_served_by_its_leaves(case: Case) -> None:
    """Whoever edits the columns beside a leaf changes neither what is shown nor what a filter by kind finds."""
    ledger = case.steward.ledger
    before = [(one.kind, one.actor) for one in await ledger.page(Selection(), first=50)]
    await case.without_triggers("UPDATE ledger_entry SET kind = 'STARTED', actor = 'system', recorded_at = 'epoch'")
    assert [(one.kind, one.actor) for one in await ledger.page(Selection(), first=50)] == before
    applied = Selection(kinds=(LedgerKind.POLICY_APPLIED,), recorded_from=NOW - timedelta(days=1))
    assert [one.kind for one in await ledger.page(applied, first=50)] == [LedgerKind.POLICY_APPLIED]


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with open_shelf(database_url, tmp_path) as shelf, serve(shelf) as served:
        yield served


async def role_of(served: Served, key: str) -> str | int:
    """The role under which a key is served, or the status by which it is refused."""
    served.runtime.authenticator.forget()
    headers, body = {"Authorization": f"Bearer {key}"}, {"query": "{ viewer { role } }"}
    async with served.session.post(served.url, json=body, headers=headers) as response:
        return (await response.json())["data"]["viewer"]["role"] if response.status == 200 else response.status


async def test_a_revoked_key_stays_revoked(served: Served) -> None:
    """Whatever the table says afterwards: made live again, or put back by an older backup of it."""
    key = await served.key(Role.VIEWER)
    prefix, owner = key.split("_")[1], served.runtime.database.owner
    assert await role_of(served, key) == "VIEWER"
    await served.runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": prefix}, actor="cli")
    assert await role_of(served, key) == 401
    await owner.execute("UPDATE api_key SET revoked_at = NULL WHERE prefix = $1", prefix)
    assert await role_of(served, key) == 401


async def test_a_role_is_the_one_of_the_ledger(served: Served) -> None:
    """An auditor who is made an admin in the table is an auditor; neither more accounts nor a longer life are had."""
    ends = datetime.now(UTC) - timedelta(seconds=1)
    owner = served.runtime.database.owner
    auditor, expired = await served.key(Role.AUDITOR), await served.key(Role.VIEWER, expires_at=ends)
    await owner.execute("UPDATE api_key SET role = 'admin', expires_at = NULL")
    assert await role_of(served, auditor) == "AUDITOR"
    assert await role_of(served, expired) == 401


async def test_a_key_that_no_entry_made_is_none(served: Served) -> None:
    """A row that somebody wrote into the table opens nothing, nor does another secret under a prefix that is known."""
    key, other = new_key(served.pepper), new_key(served.pepper)
    owner = served.runtime.database.owner
    await owner.execute(KEY, key.prefix, "admin", key.mac)
    assert await role_of(served, key.text) == 401
    known = (await served.key(Role.VIEWER)).split("_")[1]
    await owner.execute("DELETE FROM api_key WHERE prefix = $1", known)
    await owner.execute(KEY, other.prefix, "viewer", other.mac)
    facts = {"key": other.prefix, "role": "viewer", "accounts": None, "expires_at": None, "mac": mac_digest(bytes(32))}
    await served.runtime.ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="cli")
    assert await role_of(served, other.text) == 401


async def test_the_accounts_of_a_key_are_those_of_the_ledger(served: Served) -> None:
    """A key that is unbound in the table sees no more accounts than it was made for."""
    key = await served.key(Role.VIEWER, 1)
    await served.runtime.database.owner.execute("UPDATE api_key SET accounts = NULL")
    principal = await served.runtime.authenticator.authenticate(f"Bearer {key}")
    assert principal.accounts == (1,)


@pytest.mark.parametrize("manipulate", [delete_hold, lift_behind, shorten_hold, narrow_hold])
async def test_a_hold_keeps_what_it_names_whatever_the_table_says(
    case: Case, manipulate: Callable[[Case], Awaitable[None]]
) -> None:
    """The purge puts the hold back as the ledger has it before it destroys anything, and writes that down."""
    steward = case.steward
    await steward.report(call("older", started_at=(OLD - timedelta(days=30)).isoformat(), account="acme", model="m"))
    await manipulate(case)
    await release_lifted(steward.retention)
    await steward.purge()

    kept = await steward.column("SELECT source_id FROM call_held WHERE hold_id::text = $1", case.hold)
    assert "older" in kept
    assert await steward.value(
        "SELECT lifted_at IS NULL AND expires_at IS NULL FROM hold WHERE id::text = $1", case.hold
    )
    assert "HOLD_RESTORED" in await steward.kinds()
    restored = (await steward.kinds()).count("HOLD_RESTORED")
    await steward.purge()
    assert (await steward.kinds()).count("HOLD_RESTORED") == restored
    row = (await steward.ingest.fetch("SELECT name, owner, reason, model FROM hold WHERE id::text = $1", case.hold))[0]
    assert tuple(row) == ("case 17", "counsel", "suit", "m")
    assert not {"hold record", "holds"} & (await case.fsck()).keys()


async def test_a_deleted_hold_comes_back_exactly_and_keeps_no_more(case: Case) -> None:
    """Model, API key and calls are under seal in its entry: what it did not name dies on time, and so does the seal."""
    steward = case.steward
    older = (OLD - timedelta(days=30)).isoformat()
    await steward.report(
        call("named", started_at=older, account="acme", model="mx", api_key="k1"),
        call("not named", started_at=older, account="acme", model="mx", api_key="k2"),
    )
    ids = await steward.column("SELECT account_id, started_at, id FROM call WHERE source_id = 'named'")
    assert ids
    hold = await steward.hold(model="mx", api_key="k1")
    await case.sql("DELETE FROM hold WHERE id = $1", hold.id)
    await steward.purge()
    assert await steward.column("SELECT source_id FROM call_held WHERE hold_id = $1", hold.id) == ["named"]
    assert not {"hold record", "holds"} & (await case.fsck()).keys()

    record = (await read_record(steward.ledger)).holds[str(hold.id)]
    assert "mx" not in str(record.facts) and "k1" not in str(record.facts)
    await lift_hold(steward.retention, hold.id, reason="over", actor="cli")
    assert await open_condition(steward.retention.keyring, hold.id, record.facts) is None


async def test_when_the_last_purge_ended_is_the_ledgers_word(case: Case) -> None:
    """The statement does not rest on a row that anybody could write; an entry a day says that nothing was due."""
    title = "PCI DSS v4 requirement 3.2.1, verified at least every three months"
    await case.sql("UPDATE purge_run SET finished_at = now() - interval '200 days'")
    assert title not in await case.attested()

    kinds = await case.steward.kinds()
    for _ in range(3):
        await case.steward.purge()
    assert (await case.steward.kinds()).count("NOTHING_DUE") <= kinds.count("NOTHING_DUE") + 1


async def test_an_account_is_named_once_and_an_erased_one_by_nobody(case: Case) -> None:
    """The round after adds nothing; of an erased account neither name nor salt is left, and nothing is amiss."""
    assert await record_accounts(case.steward.retention) == 0
    wanted = {"account": "globex", "user": None, "reason": "ended", "actor": "cli"}
    await request_erasure(case.steward.retention, kind=ErasureKind.ACCOUNT, **wanted)
    assert await case.steward.value("SELECT count(*) FROM account WHERE name_salt IS NULL AND name ~ 'erased'") == 1
    assert await case.fsck() == {}
    await case.sql("UPDATE account SET name = 'globex' WHERE name ~ 'erased'")
    assert "was erased, and has a name here" in (await case.fsck())["accounts"]
