"""What somebody does to the change feed behind our back, and that `fsck` and the statement of `attest` name it."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from feeding import number
from ingesting import call
from manipulating import Case
from retaining import NOW

from service.query.records import change_sums
from service.query.records.feed import check, days, positions
from service.retention.audit.fsck import CHECKS, Finding
from service.retention.audit.incremental.run import FsckRun
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind

YESTERDAY = (NOW - timedelta(days=1)).isoformat()
OF = "(SELECT position FROM call_change WHERE position > 0 ORDER BY position DESC OFFSET {} LIMIT 1)"


@pytest.fixture
async def case(case: Case) -> Case:
    """Beside the rest: calls, a completion, a correction and two of another account, each with positions of its own."""
    ingest = case.retained.ingest
    batches = [
        [call("one", started_at=YESTERDAY, account="acme", amount="2", currency="USD"),
         call("two", started_at=YESTERDAY, account="acme")],
        [call("theirs", started_at=YESTERDAY, account="globex")],
        [call("two", started_at=YESTERDAY, account="acme", input_tokens=5)],
        [call("less", started_at=YESTERDAY, account="acme", amount="-1", currency="USD", corrects="one")],
        [call("late", started_at=YESTERDAY, account="globex")],
        [call("last", started_at=YESTERDAY, account="acme")],
    ]  # fmt: skip
    for batch in batches:
        await case.retained.report(*batch)
        await number(ingest)
    return case


async def look(case: Case) -> Finding:
    """What the check finds."""
    context = case.retained.retention
    return await CHECKS["feed"](await FsckRun.open(context))


async def detail(case: Case) -> str:
    """What the check says it looked at, where nothing is wrong."""
    found = await look(case)
    assert found.ok, found.detail
    return found.detail


async def test_a_sound_feed_is_sound_and_says_what_was_looked_at(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes, calls and hours are counted; what waits for its position, was purged or erased, is nothing wrong."""
    monkeypatch.setattr(check, "_SAMPLE", 300)  # hours are taken by chance: so many that none of this feed is left out
    positions = await case.retained.value("SELECT position FROM change_head")
    calls = await case.retained.value("SELECT count(*) FROM call")
    said = await detail(case)
    assert f"{positions} changes up to position {positions} in order" in said
    assert f"{calls} calls, each with its position" in said
    assert re.search(r"`changeSums` of [12] hours", said)
    await case.retained.report(call("waits", started_at=YESTERDAY, account="acme"))
    assert "1 days of them compared id by id" in await detail(case)
    await number(case.retained.ingest)
    wanted = {"account": "globex", "user": None, "reason": "asked", "actor": "cli"}
    await request_erasure(case.retained.retention, kind=ErasureKind.ACCOUNT, **wanted)
    assert "2 positions went with their calls" in await detail(case)


async def test_the_feed_is_checked_part_by_part(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sound or wrong is so however small the parts are that are in memory together."""
    monkeypatch.setattr(positions, "STRETCH", 2)
    monkeypatch.setattr(positions, "BLOCK", 3)
    monkeypatch.setattr(days, "BLOCK", 3)
    monkeypatch.setattr(change_sums, "_ROWS_AT_ONCE", 1)
    await detail(case)
    await delete_position(case)
    assert "has no positions in the feed" in (await look(case)).detail


async def delete_position(case: Case) -> None:
    await case.sql(f"DELETE FROM call_change WHERE position = {OF.format(1)}")


async def delete_newest(case: Case) -> None:
    await case.sql("DELETE FROM call_change WHERE position = (SELECT max(position) FROM call_change)")


async def delete_completion(case: Case) -> None:
    await case.sql("DELETE FROM call_change WHERE kind = 2")


async def delete_position_and_call(case: Case) -> None:
    await case.sql("DELETE FROM call WHERE source_id = 'late'")
    await delete_position(case)


async def double_at_the_end(case: Case) -> None:
    await case.sql(
        "INSERT INTO call_change SELECT position + 1, now(), account_id, tier, kind, ids FROM call_change"
        " WHERE position = (SELECT max(position) FROM call_change)"
    )


async def double_at_the_end_with_the_head(case: Case) -> None:
    await double_at_the_end(case)
    await case.sql("UPDATE change_head SET position = position + 1, recorded_at = now()")


async def double_in_another_account(case: Case) -> None:
    await case.sql(
        "INSERT INTO call_change SELECT position, recorded_at, 1, tier, kind, ids FROM call_change"
        " WHERE account_id <> 1 ORDER BY position LIMIT 1"
    )


async def swap_positions(case: Case) -> None:
    late, theirs = [await case.retained.value(f"SELECT {OF.format(offset)}") for offset in (1, 4)]
    for was, becomes in ((late, 0), (theirs, late), (0, theirs)):
        await case.sql("UPDATE call_change SET position = $2 WHERE position = $1", was, becomes)


async def swap_calls(case: Case) -> None:
    await case.sql(
        "UPDATE call_change AS change SET ids = other.ids FROM call_change AS other"
        f" WHERE change.position IN ({OF.format(1)}, {OF.format(4)})"
        f" AND other.position IN ({OF.format(1)}, {OF.format(4)}) AND other.position <> change.position"
    )


async def move_to_another_account(case: Case) -> None:
    await case.sql(f"UPDATE call_change SET account_id = 1 WHERE position = {OF.format(1)}")


async def recorded_later(case: Case) -> None:
    await case.sql(f"UPDATE call_change SET recorded_at = now() - interval '1 ms' WHERE position = {OF.format(3)}")


async def recorded_after_the_newest(case: Case) -> None:
    await case.sql(f"UPDATE call_change SET recorded_at = now() + interval '1 day' WHERE position = {OF.format(0)}")


async def recorded_earlier(case: Case) -> None:
    await case.sql(
        f"UPDATE call_change SET recorded_at = recorded_at - interval '1 minute' WHERE position = {OF.format(1)}"
    )


async def call_recorded_later(case: Case) -> None:
    await case.sql("UPDATE call SET recorded_at = now() WHERE source_id = 'one'")


async def delete_call(case: Case) -> None:
    await case.sql("DELETE FROM call WHERE source_id = 'late'")


async def add_call(case: Case) -> None:
    await case.sql(
        "INSERT INTO call (started_at, id, digest, account_id, tier, source, failed, source_id, model)"
        " SELECT started_at, overlay(id::text placing 'ffff' from 33)::uuid, 1, account_id, tier, source, failed, 'x',"
        " 'm' FROM call WHERE source_id = 'late'"
    )


async def another_kind(case: Case) -> None:
    await case.sql("UPDATE call_change SET kind = 0 WHERE kind = 1")


async def no_kind(case: Case) -> None:
    await case.sql("UPDATE call_change SET kind = 7 WHERE kind = 1")


async def cut_ids(case: Case) -> None:
    await case.sql(f"UPDATE call_change SET ids = substr(ids, 1, 9) WHERE position = {OF.format(0)}")


async def no_time(case: Case) -> None:
    await case.sql(
        f"UPDATE call_change SET ids = overlay(ids placing $1::bytea from 1) WHERE position = {OF.format(0)}",
        b"\xff" * 6,
    )


async def another_tier(case: Case) -> None:
    await case.sql(f"UPDATE call_change SET tier = 3 WHERE position = {OF.format(0)}")


MANIPULATIONS: dict[Callable[[Case], Awaitable[None]], str] = {
    delete_position: "has no positions in the feed instead of one",
    delete_newest: "has no positions in the feed instead of one",
    delete_completion: "was completed 1 times, and has 0 positions for that",
    delete_position_and_call: "of the feed are gone, and no purge took them",
    double_at_the_end: "of the feed is newer than the newest that was given",
    double_at_the_end_with_the_head: "has 2 positions in the feed instead of one",
    double_in_another_account: "is taken",
    swap_positions: "was recorded before the position before it",
    swap_calls: "was recorded before its call",
    move_to_another_account: "which is not there",
    recorded_later: "was recorded before the position before it",
    recorded_after_the_newest: "of the feed is newer than the newest that was given",
    recorded_earlier: "was recorded before the position before it",
    call_recorded_later: "was recorded before its call",
    delete_call: "which is not there",
    add_call: "has no positions in the feed instead of one",
    another_kind: "for another kind of change",
    no_kind: "holds no whole changes",
    cut_ids: "holds no whole changes",
    no_time: "is of a call that starts in the future",
    another_tier: "which is not there",
}
TABLES = ("call", "call_change", "change_head")


async def test_what_was_done_to_the_feed_is_named(case: Case) -> None:
    """The position, or the call that has none, is named, whatever was done; and nothing, when that is undone."""
    for table in TABLES:
        await case.sql(f"CREATE TABLE kept_{table} AS TABLE {table}")
    for manipulate, says in MANIPULATIONS.items():
        await manipulate(case)
        said = await look(case)
        assert not said.ok, manipulate.__name__
        assert says in said.detail, manipulate.__name__
        for table in TABLES:
            await case.sql(f"DELETE FROM {table}")
            await case.sql(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        assert (await look(case)).ok, manipulate.__name__


async def test_a_sum_of_any_form_is_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncpg gives a sum that ends in four zeros as `-8.44618244874591E+18`: one seed in 10,000 makes such a one."""
    seed = await case.retained.value(
        "SELECT seed FROM call, generate_series(1, 1000000) AS seed"
        " WHERE correction_of IS NOT NULL AND uuid_hash_extended(id, seed + account_id) % 10000 = 0 LIMIT 1"
    )
    monkeypatch.setattr(days.secrets, "randbelow", lambda _: seed)
    await detail(case)


async def test_fsck_and_the_statement_say_what_was_done(case: Case) -> None:
    """Both fail at `feed`, in the same words."""
    assert await case.fsck() == {}
    await delete_position(case)

    says = MANIPULATIONS[delete_position]
    assert says in (await case.fsck())["feed"]
    assert says in (await case.attested())["fsck, feed"]
