"""Legal holds on a real ledger: what they name outlives the purge, sealed text and all; the rest dies on time."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ingesting import call
from retaining import NOW, OLD, SHORT, YOUNG, Killed, RetainedLedger, failed, kill_at, open_retained, windows

from policies.admission.segments import masked
from policies.policy.model import DataClass, Store
from service.ingest.results import Status
from service.keyring import KeyDestroyedError, PeriodKeyName
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.errors import HoldError
from service.retention.holds.escrow import open_held
from service.retention.holds.holds import lift_expired, lift_hold, page_holds
from service.retention.maintenance import maintain
from service.retention.purge_runs import Runs
from service.storage.ids import encode_call_id

HELD_CALLS = "SELECT source_id FROM call_held ORDER BY 1"
HELD_ERRORS = "SELECT * FROM call_error_held ORDER BY occurred_at, hold_id"
ERROR_IDS = """
    SELECT source_id FROM call_error_held AS error JOIN call_held AS call USING (account_id, hold_id, id) ORDER BY 1
"""


async def fill(retained: RetainedLedger) -> None:
    """Six failed calls past the window, one within it."""
    await retained.report(
        failed("a", user="u1", api_key="k1"),
        failed("b", OLD + timedelta(hours=1), model="m2", user="u2"),
        failed("c", OLD + timedelta(days=1), api_key="k1"),
        failed("d", OLD, account="other"),
        failed("e", NOW - timedelta(days=100)),
        failed("f", NOW - timedelta(days=100), model="m2"),
        failed("g", YOUNG),
    )


async def call_id(retained: RetainedLedger, source_id: str) -> str:
    (row,) = await retained.ingest.fetch("SELECT account_id, id FROM call WHERE source_id = $1", source_id)
    return encode_call_id(row["account_id"], row["id"])


async def messages(retained: RetainedLedger) -> list[str]:
    """What the held copies of errors say."""
    rows = await retained.ingest.fetch(HELD_ERRORS)
    opened = [await open_held(retained.retention.keyring, row) for row in rows]
    return sorted(masked(details.message) for details in opened if details is not None and details.message)


async def test_what_is_held_outlives_the_purge_and_the_rest_dies_on_time(retained: RetainedLedger) -> None:
    """Held rows are copied with what opens their errors; period keys die all the same, and nobody else's rows stay."""
    await fill(retained)
    hold = await retained.hold()
    assert await retained.value("SELECT count(*) FROM call_held") == 0

    (run,) = await retained.purge()

    assert await retained.column(HELD_CALLS) == ["a", "b", "c"]
    assert await retained.column("SELECT source_id FROM call ORDER BY 1") == ["e", "f", "g"]
    assert await messages(retained) == [f"user of {id_} has no quota" for id_ in "abcef"]
    assert (run.rows_held_back, run.rows_dropped, len(run.holds)) == (8, 10, 1)
    for day in (OLD, NOW - timedelta(days=100)):
        with pytest.raises(KeyDestroyedError):
            await retained.retention.keyring.key(PeriodKeyName(1, "personal", f"{day:%Y-%m-%d}"), mint=True)
    assert (await page_holds(retained.retention.owner, 1))[0].copies == 8
    assert await retained.findings() == {}
    kinds = await retained.kinds()
    assert kinds == ["HOLD_PLACED", "PURGE_INTENT", "KEY_DESTROYED", "PURGE_RESULT"]
    assert hold.ledger_index == 0


async def test_a_lifted_hold_takes_everything_with_it(retained: RetainedLedger) -> None:
    """Its key is destroyed, its copies are deleted, and what was sealed opens no more, in no copy of the row either."""
    await fill(retained)
    hold = await retained.hold()
    await retained.purge()
    kept = (await retained.ingest.fetch(HELD_ERRORS))[0]

    _, index = await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")

    assert await retained.value("SELECT count(*) FROM call_held") == 0
    assert await retained.value("SELECT count(*) FROM call_error_held") == 0
    with pytest.raises(KeyDestroyedError):
        await open_held(retained.retention.keyring, kept)
    with pytest.raises(HoldError):
        await lift_hold(retained.retention, hold.id, reason="again", actor="cli")
    assert (await retained.kinds())[index] == "HOLD_LIFTED"
    assert await retained.findings() == {}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, "abc"),
        ({"account": "other"}, "d"),
        ({"model": "m2"}, "b"),
        ({"api_key": "k1"}, "ac"),
        ({"start": OLD + timedelta(hours=1)}, "bc"),
        ({"end": OLD + timedelta(hours=1)}, "a"),
        ({"start": OLD, "end": OLD + timedelta(days=1), "model": "gpt-4o"}, "a"),
        ({"model": "nothing"}, ""),
    ],
)
async def test_a_hold_names_exactly_what_it_says(
    retained: RetainedLedger, scope: dict[str, Any], expected: str
) -> None:
    """Account, time range (half-open), model and key narrow each other; what is not named is not kept."""
    await fill(retained)
    await retained.hold(**scope)
    await retained.purge()
    assert await retained.column(HELD_CALLS) == list(expected)
    assert await retained.column(ERROR_IDS) == list(expected)


async def test_a_hold_by_calls_keeps_these_calls(retained: RetainedLedger) -> None:
    """Ids of calls choose among the account's calls; an id of another account is refused."""
    await fill(retained)
    await retained.hold(call_ids=(await call_id(retained, "c"), await call_id(retained, "g")))
    for wrong in (await call_id(retained, "d"), "call_nonsense"):
        with pytest.raises(HoldError):
            await retained.hold(call_ids=(wrong,))
    await retained.purge()
    assert await retained.column(HELD_CALLS) == ["c"]


async def test_a_hold_without_the_personal_class_keeps_nobody(retained: RetainedLedger) -> None:
    """Without the personal class copies have neither pseudonym nor sealed text, and billing alone keeps no error."""
    await fill(retained)
    await retained.hold(DataClass.BILLING)
    await retained.hold(DataClass.OPERATIONAL, model="m2")
    await retained.purge()
    assert set(await retained.column("SELECT source_id FROM call_held")) == {"a", "b", "c"}
    rows = await retained.ingest.fetch(HELD_ERRORS)
    assert [row["model"] for row in rows] == ["m2", "m2"]
    assert all(row["sealed"] is None and row["record_key"] is None and row["user_token"] is None for row in rows)
    assert await retained.value("SELECT count(user_token) FROM call_held") == 0


async def test_of_two_holds_each_has_its_own_copies(retained: RetainedLedger) -> None:
    """Lifting one of two holds of a row takes nothing from the other."""
    await fill(retained)
    one, _ = await retained.hold(model="m2"), await retained.hold()
    await retained.purge()
    await lift_hold(retained.retention, one.id, reason="settled", actor="cli")
    assert await messages(retained) == [f"user of {id_} has no quota" for id_ in "abcef"]
    assert await retained.findings() == {}


STEPS_WITH_A_HOLD = 25


@pytest.mark.parametrize("number", range(1, STEPS_WITH_A_HOLD + 1))
async def test_killed_at_any_step_the_copies_are_whole_and_single(retained: RetainedLedger, number: int) -> None:
    """Wherever a purge dies, the next one ends with the same copies, each once, and every one of them opens."""
    await fill(retained)
    await retained.hold()
    try:
        await retained.purge(kill_at(number))
    except Killed:
        # What is past its window is not served at any moment, nor can it be opened once its key is gone.
        await retained.purge()
    assert await retained.column(HELD_CALLS) == ["a", "b", "c"]
    assert await messages(retained) == [f"user of {id_} has no quota" for id_ in "abcef"]
    (record,) = [run for run in await retained.ingest.fetch("SELECT * FROM purge_run") if run["rows_dropped"]]
    assert (record["state"], record["rows_held_back"], record["rows_dropped"]) == ("DONE", 8, 10)
    assert sorted(await retained.kinds()) == ["HOLD_PLACED", "KEY_DESTROYED", "PURGE_INTENT", "PURGE_RESULT"]
    assert await retained.findings() == {}


async def test_a_hold_placed_during_a_purge_keeps_what_is_still_there(retained: RetainedLedger) -> None:
    """Rows whose keys are gone and whose partitions are not are kept without their sealed text."""
    await fill(retained)
    steps: list[str] = []

    def stop_when_detached(step: str) -> None:
        steps.append(step)
        if step == "recorded DETACHED":
            raise Killed

    with pytest.raises(Killed):
        await retained.purge(stop_when_detached)
    await retained.hold()
    await retained.purge()
    assert await retained.column(HELD_CALLS) == ["a", "b", "c"]
    assert await messages(retained) == []
    assert await retained.findings() == {}


async def test_placing_a_hold_waits_for_nobody_but_the_escrow(retained: RetainedLedger) -> None:
    """A hold is placed while a purge waits for a reader."""
    await fill(retained)
    async with retained.ingest.database.reading(None) as reader, reader.transaction():
        await reader.fetchval("SELECT count(*) FROM call")
        purging = asyncio.create_task(retained.purge())
        while not await retained.value("SELECT count(*) FROM purge_run WHERE state = 'KEYS_DESTROYED'"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await retained.hold()
        assert not purging.done()
    await purging
    assert await retained.column(HELD_CALLS) == ["a", "b", "c"]


async def test_a_key_that_ends_before_its_row_is_escrowed_before_it_ends(retained: RetainedLedger) -> None:
    """Where personal values are readable for less than the row is kept, the hold still keeps them readable for it."""
    await retained.report(failed("a", NOW - timedelta(days=25)), failed("b", NOW - timedelta(days=25), model="m2"))
    await retained.hold(model="m2")
    retained.ingest.use_policy(windows(400, personal=10))
    (run,) = await retained.purge()
    assert [part for part in run.plan.partitions if part.store is Store.CALL_ERROR] == []
    assert len(run.plan.keys) == 1
    assert await messages(retained) == ["user of b has no quota"]
    retained.ingest.use_policy(windows(15, personal=10))
    await retained.purge()
    assert await messages(retained) == ["user of b has no quota"]
    assert await retained.column(HELD_CALLS) == ["b"]
    assert await retained.findings() == {}


async def test_a_report_retried_during_and_after_a_hold_is_never_stored_again(retained: RetainedLedger) -> None:
    """While its row is there it is a duplicate; once it is past the window, held or not, it is too old."""
    row = failed("a", NOW - timedelta(days=100), user="u1")
    await retained.report(row, call("y", account="acme"))
    hold = await retained.hold()
    assert [one.status for one in await retained.report(row)] == [Status.DUPLICATE]
    assert [one.status for one in await retained.report(row, policy=SHORT)] == [Status.DUPLICATE]
    retained.ingest.use_policy(windows(60))
    await retained.purge()
    assert [one.status for one in await retained.report(row, policy=windows(60))] == [Status.REJECTED]
    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    assert [one.status for one in await retained.report(row, policy=windows(60))] == [Status.REJECTED]
    assert await retained.value("SELECT count(*) FROM call") == 1


async def test_no_hold_expires_while_the_clock_is_in_doubt(retained: RetainedLedger) -> None:
    """A hold ends once and for all, so a clock that has jumped ends none before somebody vouches for it."""
    await fill(retained)
    await retained.hold(expires_at=NOW + timedelta(days=1))
    await retained.ingest.database.owner.execute("UPDATE hold SET expires_at = now() - interval '1 second'")
    runs, long_ago = Runs(retained.retention.owner), NOW - timedelta(days=200)
    await runs.note_nothing_due(long_ago, requested_by="system")
    assert await lift_expired(retained.retention) == 0

    await runs.note_nothing_due(NOW - timedelta(hours=1), requested_by="system")
    assert await lift_expired(retained.retention) == 1


async def test_an_expired_hold_ends_by_itself(retained: RetainedLedger) -> None:
    """Past its expiry a hold keeps nothing new, and the worker lifts it, on record."""
    await fill(retained)
    hold = await retained.hold(expires_at=NOW + timedelta(days=1))
    await retained.purge()
    assert await lift_expired(retained.retention) == 0
    await retained.ingest.database.owner.execute("UPDATE hold SET expires_at = now() - interval '1 second'")
    assert await maintain(retained.retention)
    assert await retained.value("SELECT count(*) FROM call_held") == 0
    (ended,) = await page_holds(retained.retention.owner, 10, active=False)
    assert (ended.id, ended.lifted_by) == (hold.id, "system")
    assert await retained.value("SELECT released_at IS NOT NULL FROM hold")


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": "nobody"},
        {"start": NOW, "end": NOW},
        {"call_ids": ()},
        {"model": ""},
    ],
)
async def test_a_hold_that_makes_no_sense_is_refused(retained: RetainedLedger, wrong: dict[str, Any]) -> None:
    """Unknown account, empty range, no calls, an empty name: nothing is placed and nothing ledgered."""
    await fill(retained)
    with pytest.raises(HoldError):
        await retained.hold(**wrong)
    with pytest.raises(HoldError):
        await retained.hold(DataClass.CONTENT)
    with pytest.raises(HoldError):
        await retained.hold(expires_at=NOW - timedelta(days=1))
    assert await retained.kinds() == []


MADE_UP = {
    "hold": "(id, name, owner, account_id, classes, placed_at, placed_by) VALUES "
    "(gen_random_uuid(), 'x', 'x', 1, '[]', now(), 'x')",
    "purge_run": "(id, state, plan_digest, plan, planned_at, requested_by, keys_destroyed, rows_dropped) VALUES "
    "(gen_random_uuid(), 'DONE', '', '{}', now(), 'x', 1, 0)",
    "erasure": "(id, kind, account_id, requested_at, requested_by, blocked_by) VALUES "
    "(gen_random_uuid(), 'ACCOUNT', 1, now(), 'x', '[]')",
}


@pytest.mark.parametrize(
    "statement",
    [
        *(f"INSERT INTO {table} {row}" for table, row in MADE_UP.items()),
        "UPDATE hold SET lifted_at = now()",
        "DELETE FROM hold",
        "UPDATE purge_run SET keys_destroyed = 1",
        "UPDATE erasure SET finished_at = now()",
        "DELETE FROM call_held",
        "INSERT INTO call_held SELECT * FROM call_held",
    ],
)
async def test_the_services_roles_cannot_make_up_what_destroys(retained: RetainedLedger, statement: str) -> None:
    """Purges, holds and erasures are written by the owner alone: no tombstone can be forged through the service."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await retained.ingest.database.writer.execute(statement)


async def test_the_ledger_holds_no_word_of_a_hold(retained: RetainedLedger) -> None:
    """Names and reasons are in the erasable note; leaf bytes hold ids, counts and digests."""
    await fill(retained)
    await retained.hold(model="m2")
    leaf = (await retained.column("SELECT leaf FROM ledger_entry"))[0]
    for word in (b"case 17", b"counsel", b"suit", b"m2", b"acme"):
        assert word not in leaf
    assert "suit" in (await retained.column("SELECT text FROM ledger_note"))[0]


async def test_both_versions_hold_and_erase(any_database_url: str, tmp_path: Path) -> None:
    """Hold, purge, lift and erase, on the newest and on the oldest PostgreSQL."""
    async with open_retained(any_database_url, tmp_path) as retained:
        await fill(retained)
        hold = await retained.hold()
        await retained.purge()
        assert await messages(retained) == [f"user of {id_} has no quota" for id_ in "abcef"]
        for kind, user in ((ErasureKind.USER, "u1"), (ErasureKind.ACCOUNT, None)):
            await request_erasure(retained.retention, kind=kind, account="acme", user=user, reason="asked", actor="cli")
        await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
        assert await maintain(retained.retention)
        assert await retained.value("SELECT count(*) FROM call") == 0
        assert await retained.findings() == {}
