"""Erasing a person or an account: live rows now, copies by their keys, what is held when the hold ends."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import asyncpg
import orjson
import pytest
from retaining import NOW, YOUNG, RetainedLedger, failed

from policies.policy.model import DataClass, Role
from policies.policy.views import view_table
from service.ingest.results import Status
from service.keyring import AccountKeyName, KeyDestroyedError, open_keyring
from service.query.model.catalog import CALLS
from service.query.model.predicate import EVERYTHING, Compare, Predicate
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.page import PageRequest, PageSelection
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind, get_erasure
from service.retention.errors import ErasureError
from service.retention.holds.holds import lift_hold
from service.retention.maintenance import maintain
from service.retention.replay import replay_tombstones

TOKENS = "SELECT source_id FROM call WHERE user_token IS NOT NULL ORDER BY 1"
SEALED = "SELECT model FROM call_error WHERE sealed IS NOT NULL ORDER BY 1"
YESTERDAY = NOW - timedelta(days=1)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
# What each of them makes an erasure wait for: the first of its calls; the first of its sums.
BEFORE_THE_CALLS = "LOCK TABLE call IN SHARE MODE"
BETWEEN_CALLS_AND_SUMS = "LOCK TABLE usage_quarter IN SHARE MODE"


async def fill(retained: RetainedLedger) -> None:
    """Calls of two people in one account, on two days, and of the first in another account."""
    await retained.report(
        failed("a", YOUNG, user="u-mallory", model="m1"),
        failed("b", YESTERDAY, user="u-mallory", model="m2"),
        failed("c", YOUNG, user="u-bob", model="m3"),
        failed("d", YOUNG, user="u-mallory", model="m4", account="other"),
    )


async def erase(retained: RetainedLedger, user: str | None = "u-mallory", **options: bool):
    kind = ErasureKind.USER if user else ErasureKind.ACCOUNT
    return await request_erasure(
        retained.retention, kind=kind, account="acme", user=user, reason="asked by letter", actor="cli", **options
    )


async def test_a_person_is_erased_and_nobody_else(retained: RetainedLedger) -> None:
    """Their pseudonyms and the sealed text of their errors are gone in that account; counts and money stay."""
    await fill(retained)
    erasure = await erase(retained)

    assert await retained.column(TOKENS) == ["c", "d"]
    assert await retained.column(SEALED) == ["m3", "m4"]
    assert await retained.value("SELECT count(*) FROM call") == 4
    assert (erasure.rows, erasure.blocked_by, erasure.finished_at is not None) == (4, (), True)
    assert erasure.tokens == ()
    # Copies: the younger day's key ends 30 days after the day, and is in the keyring's backups for 7 days more.
    assert timedelta(days=36) < erasure.unreadable_at - NOW < timedelta(days=39)
    assert await retained.kinds() == ["ERASURE_INTENT", "ERASURE_RESULT"]
    assert await retained.findings() == {}


async def test_the_persons_id_is_nowhere(retained: RetainedLedger) -> None:
    """Neither the erasure's record nor the ledger, its notes included, nor any row holds the plain id."""
    await fill(retained)
    await erase(retained)
    for statement in (
        "SELECT erasure::text FROM erasure",
        "SELECT convert_from(leaf, 'UTF8') FROM ledger_entry",
        "SELECT text FROM ledger_note",
        "SELECT call::text FROM call UNION ALL SELECT call_error::text FROM call_error",
    ):
        assert not any("mallory" in row for row in await retained.column(statement))


NAMED = """
    UPDATE call SET error_type = 'UserBudgetExceeded u-mallory', error_code = 'budget:U-Mallory',
        source_id = 'u-mallory/1', tags = '{"team": "desk of u-mallory", "app": "x"}', team = 'u-mallory',
        trace_id = 't-u-mallory'
    WHERE source_id = 'c'
"""
NAMED_ERROR = "UPDATE call_error SET error_type = 'UserBudgetExceeded u-mallory', error_code = 'x' WHERE model = 'm3'"
IN_CLEAR = """
    SELECT (SELECT string_agg(call::text, '') FROM call JOIN account ON account_id = account.id WHERE name = 'acme')
        || (SELECT string_agg(call_error::text, '') FROM call_error)
"""


async def test_what_older_rows_say_of_the_person_in_clear_goes_too(retained: RetainedLedger) -> None:
    """Type, code, tags, labels and ids of rows from before reports were looked through: cleared and counted."""
    await fill(retained)
    owner = retained.ingest.database.owner
    await owner.execute(NAMED)
    await owner.execute(NAMED_ERROR)
    erasure = await erase(retained)

    assert "mallory" not in (await retained.value(IN_CLEAR)).lower()
    assert erasure.rows == 6  # two calls and two errors of the person, and one of each that named them
    row = await owner.fetchrow("SELECT error_type, error_code, tags, team, trace_id FROM call WHERE model = 'm3'")
    mark = "[redacted:reported-person]"
    assert tuple(row)[:2] == (f"UserBudgetExceeded {mark}", f"budget:{mark}")
    assert orjson.loads(row["tags"]) == {"team": f"desk of {mark}", "app": "x"}
    assert (row["team"], row["trace_id"]) == (mark, None)
    assert await retained.value("SELECT count(*) FROM call WHERE source_id LIKE '%redacted:reported-person]/1~%'") == 1
    assert await retained.findings() == {}


async def test_a_row_that_only_resembles_is_left_alone(retained: RetainedLedger) -> None:
    """At the edges of words only, in the account that was named, and for the service's worker as for the command."""
    await fill(retained)
    owner = retained.ingest.database.owner
    await owner.execute("UPDATE call SET error_type = 'u-mallory2 xu-mallory' WHERE model = 'm3'")
    await owner.execute("UPDATE call SET error_code = 'u-mallory'")
    await erase(retained, at_once=False)
    assert await maintain(retained.retention)

    assert await retained.value("SELECT error_type FROM call WHERE model = 'm3'") == "u-mallory2 xu-mallory"
    assert await retained.value("SELECT string_agg(model, '' ) FROM call WHERE error_code = 'u-mallory'") == "m4"


async def test_a_retried_report_of_an_erased_person_is_a_duplicate(retained: RetainedLedger) -> None:
    """The call is still there, without the person: its retry brings nothing back."""
    await fill(retained)
    await erase(retained)
    (verdict,) = await retained.report(failed("a", YOUNG, user="u-mallory", model="m1"))
    assert verdict.status is Status.DUPLICATE
    assert await retained.column(TOKENS) == ["c", "d"]


async def test_an_erasure_outlives_a_crash_without_the_id(retained: RetainedLedger) -> None:
    """What was asked for and not done is done by whoever comes next, from pseudonyms alone."""
    await fill(retained)
    asked = await erase(retained, at_once=False)
    assert (asked.finished_at, await retained.column(TOKENS)) == (None, ["a", "b", "c", "d"])
    assert await maintain(retained.retention)
    done = await get_erasure(retained.retention.owner, asked.id)
    assert (done.finished_at is not None, done.rows, done.tokens) == (True, 4, ())
    assert await retained.column(TOKENS) == ["c", "d"]


async def test_a_hold_blocks_what_it_names_and_is_named(retained: RetainedLedger) -> None:
    """All rows lose the person now; what the hold names is its copies alone until it ends; then the worker finishes."""
    await fill(retained)
    hold = await retained.hold(model="m1")
    erasure = await erase(retained)
    assert await retained.column(TOKENS) == ["c", "d"]
    assert await retained.column(SEALED) == ["m3", "m4"]
    assert await retained.column("SELECT model FROM call_error_held WHERE record_key IS NOT NULL") == ["m1"]
    assert (erasure.blocked_by, erasure.finished_at, erasure.rows) == ((hold.id,), None, 4)
    assert (erasure.state, erasure.restricted_at is not None) == ("RESTRICTED", True)
    assert await maintain(retained.retention)
    assert await retained.findings() == {}

    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    assert await maintain(retained.retention)
    assert await retained.column(TOKENS) == ["c", "d"]
    done = await get_erasure(retained.retention.owner, erasure.id)
    assert (done.finished_at is not None, done.rows, done.blocked_by) == (True, 4, ())


async def test_a_hold_that_keeps_no_person_blocks_nothing(retained: RetainedLedger) -> None:
    """A hold of operational facts alone does not keep who it was."""
    await fill(retained)
    await retained.hold(DataClass.OPERATIONAL)
    assert (await erase(retained)).finished_at is not None


async def test_an_account_is_erased_with_its_name_and_key(retained: RetainedLedger) -> None:
    """No row, no key, no name: a report under the old name begins a new account, and fsck finds nothing left."""
    await fill(retained)
    number = await retained.retention.accounts.find("acme")
    erasure = await erase(retained, user=None)

    assert (erasure.finished_at is not None, erasure.rows) == (True, 9)
    for store in ("call", "call_error", "usage_delta"):
        assert await retained.value(f"SELECT count(*) FROM {store} WHERE account_id = $1", number) == 0
    with pytest.raises(KeyDestroyedError):
        await retained.retention.keyring.key(AccountKeyName(number), mint=True)
    assert await retained.value("SELECT count(*) FROM account WHERE name = 'acme'") == 0
    await retained.report(failed("n", YOUNG, user="u-bob"))
    assert await retained.value("SELECT count(*) FROM call WHERE account_id <> $1", number) == 2
    assert await retained.findings() == {}
    assert timedelta(days=6) < erasure.unreadable_at - NOW < timedelta(days=8)


async def test_a_held_account_keeps_its_key_and_its_held_rows(retained: RetainedLedger) -> None:
    """What a hold names is its copies alone, with the key that opens them; all other rows go at once, and the copies
    when the hold is lifted."""
    await fill(retained)
    number = await retained.retention.accounts.find("acme")
    hold = await retained.hold(model="m1")
    erasure = await erase(retained, user=None)
    assert (erasure.blocked_by, erasure.finished_at, erasure.unreadable_at) == ((hold.id,), None, None)
    assert await retained.column("SELECT source_id FROM call ORDER BY 1") == ["d"]
    assert await retained.column("SELECT source_id FROM call_held") == ["a"]
    assert await retained.retention.keyring.key(AccountKeyName(number), mint=False)
    assert await retained.findings() == {}
    async with retained.retention.owner.acquire(), asyncio.timeout(60):  # of three connections two are left
        await carry_out_erasures(retained.retention)

    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    await carry_out_erasures(retained.retention)
    assert await retained.column("SELECT source_id FROM call ORDER BY 1") == ["d"]
    assert (await get_erasure(retained.retention.owner, erasure.id)).finished_at is not None
    with pytest.raises(KeyDestroyedError):
        await retained.retention.keyring.key(AccountKeyName(number), mint=False)


async def total(retained: RetainedLedger, predicate: Predicate = EVERYTHING) -> tuple[int | None, int]:
    """`totalCount` of everything that matches, as an unbound reader gets it, and how many rows the list has."""
    retention = retained.retention
    reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
    policy = retention.policy()
    scope = Scope("testkey2", Role.VIEWER, None, policy, view_table(policy, Role.VIEWER))
    wanted = PageSelection(rows=True, has_next=False, has_previous=False, total=True)
    page = await reader.page(scope, CALLS, PageRequest(predicate), wanted)
    return page.total, len(page.rows)


@pytest.mark.parametrize(
    ("compacted", "step", "left"),
    [(False, BEFORE_THE_CALLS, 4), (True, BEFORE_THE_CALLS, 4), (True, BETWEEN_CALLS_AND_SUMS, 1)],
    ids=["renamed, deltas gone", "renamed", "calls gone"],
)
async def test_no_call_is_counted_twice_while_an_account_goes(
    retained: RetainedLedger, compacted: bool, step: str, left: int
) -> None:
    """Between the steps of an erasure `totalCount` is the number of rows, of everything and of the account alone."""
    await fill(retained)
    if compacted:
        await retained.compact()
    blocker = await asyncpg.connect(retained.ingest.url)
    async with blocker.transaction():
        await blocker.execute(step)
        erasing = asyncio.create_task(erase(retained, user=None))
        while not await retained.value(WAITING):
            assert not erasing.done()
            await asyncio.sleep(0.01)
        assert await total(retained) == (left, left)
        name = await blocker.fetchval("SELECT name FROM account WHERE name LIKE 'erased:%'")
        assert await total(retained, Compare("account", "eq", name)) == (left - 1, left - 1)
    await blocker.close()
    await erasing
    assert await total(retained) == (1, 1)


async def test_what_a_service_wrote_late_is_swept(retained: RetainedLedger) -> None:
    """Rows that came in under the old number after the end are deleted by the next round."""
    await fill(retained)
    number = await retained.retention.accounts.find("acme")
    await erase(retained, user=None)
    late = (
        "INSERT INTO call SELECT (jsonb_populate_record(call, jsonb_build_object('account_id', $1::int))).* FROM call"
    )
    await retained.ingest.database.owner.execute(late, number)
    assert "erasures" in await retained.findings()
    await maintain(retained.retention)
    assert await retained.findings() == {}


async def test_a_keyring_from_before_the_erasure_is_destroyed_again(retained: RetainedLedger, tmp_path: Path) -> None:
    """The account's key does not come back with a backup of the keyring."""
    await fill(retained)
    number = await retained.retention.accounts.find("acme")
    shutil.copytree(tmp_path / "keyring", tmp_path / "copy")
    await erase(retained, user=None)
    old = await open_keyring(f"file:{tmp_path / 'copy'}", f"file:{tmp_path / 'kek'}", create=False)
    assert await old.key(AccountKeyName(number), mint=False)
    assert await replay_tombstones(retained.retention.owner, old, retained.ledger) == 1
    with pytest.raises(KeyDestroyedError):
        await old.key(AccountKeyName(number), mint=False)
    await old.close()


@pytest.mark.parametrize(("account", "user", "reason"), [("nobody", "u", "r"), ("acme", "", "r"), ("acme", "u", " ")])
async def test_an_erasure_that_makes_no_sense_is_refused(
    retained: RetainedLedger, account: str, user: str, reason: str
) -> None:
    """Unknown account, no person, no reason: nothing is recorded."""
    await fill(retained)
    with pytest.raises(ErasureError):
        await request_erasure(
            retained.retention, kind=ErasureKind.USER, account=account, user=user, reason=reason, actor="cli"
        )
    assert await retained.kinds() == []
