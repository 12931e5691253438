"""What somebody does behind our back, with the database's owner at hand, and which of us notices.

Each manipulation is done to a ledger that is sound, by plain SQL or on the disk. `fsck` names it, the statement of
`attest` fails by the same words, and what can be told without reading every row is said at start and by `status`.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from manipulating import (
    KEY,
    Case,
    assert_named_everywhere,
    delete_hold,
    lift_behind,
    narrow_hold,
    restrict_an_erasure,
    revive_key,
    shorten_hold,
)
from retaining import SHORT

from policies import digest
from policies.evidence import LedgerKind
from service.retention.account_names import record_accounts
from service.retention.audit.start_check import differences_at_start
from service.storage.ids import public_id


async def test_a_sound_ledger_is_sound(case: Case) -> None:
    """Nobody finds anything where nothing was done, nor after a purge that found nothing due."""
    assert await case.fsck() == {}
    await case.retained.purge()
    assert await case.fsck() == {}
    assert await differences_at_start(case.retained.retention) == []
    assert await case.attested() == {}


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
    await case.retained.purge()
    await case.sql("UPDATE purge_run SET plan = '{}' WHERE rows_dropped = 0")


async def other_idle_plan(case: Case) -> None:
    await case.retained.purge()
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
    await record_accounts(case.retained.retention)


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
    await case.retained.ledger.append(LedgerKind.EXPORTED, facts, actor="k7m2xq9p")
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

    await assert_named_everywhere(case, check, says)
