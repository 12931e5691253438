"""The change feed: in the order of commits, without a gap and without a change twice, whoever commits when."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from bodies import read_native
from feeding import SELECTION, Consumer, account_id, number, scope_of
from ingesting import ANYONE, RECENT, Ingest, body, call, eventually, ingesting
from rows import call_uuid

from service.ingest.pipeline.writer import Writer, as_read
from service.query.model.predicate import Compare
from service.query.records.changes import SCANNED_MAX, ChangesRequest
from service.query.records.ordering import CursorError
from service.storage.database import Database
from service.storage.numbering import number_changes, unnumbered

BLOCKED = "SELECT count(*) FROM {activity} WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def ingest(any_database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(any_database_url, tmp_path) as ingest:
        yield ingest


async def test_calls_corrections_and_completions_come_in_the_order_of_commits(ingest: Ingest) -> None:
    """A call that changes twice comes three times, and a change never comes before what it changes."""
    await ingest.report(call("a"), call("b", amount="2", currency="USD"))
    await ingest.report(call("a", input_tokens=5))
    await ingest.report(call("b2", amount="-1", currency="USD", corrects="b"))
    await ingest.report(call("a", output_tokens=6), call("c"))
    await ingest.report(call("a"), call("b", amount="2", currency="USD"))  # duplicates
    await number(ingest)
    consumer = await Consumer.of(ingest, size=2)

    await consumer.read()

    assert sorted(consumer.received[:2]) == [("CALL", "a"), ("CALL", "b")]
    assert consumer.received[2:4] == [("COMPLETION", "a"), ("CORRECTION", "b2")]
    assert sorted(consumer.received[4:]) == [("CALL", "c"), ("COMPLETION", "a")]
    assert await consumer.read() == []


async def test_recorded_times_never_decrease_along_the_feed(ingest: Ingest) -> None:
    """Change.recordedAt follows the order, and is not earlier than the call's own."""
    for round_ in range(5):
        await ingest.report(call(f"r{round_}"))
        await number(ingest)
    consumer = await Consumer.of(ingest)
    await consumer.read()

    changes = [change for page in consumer.pages for change in page.changes]
    times = [change.entry.recorded_at for change in changes]
    stored = {row["source_id"]: row["recorded_at"] for row in await ingest.fetch("SELECT * FROM call")}
    assert times == sorted(times)
    assert all(stored[change.row["source_id"]] <= change.entry.recorded_at for change in changes)


async def test_a_write_that_commits_late_is_neither_lost_nor_waited_for(ingest: Ingest) -> None:
    """A transaction that began first and commits last holds nobody up, and comes when it has committed."""
    slow = await ingest.another_writer()
    consumer = await Consumer.of(ingest)
    await ingest.report(call("before"))
    blocker = await asyncpg.connect(ingest.url)
    try:
        # An uncommitted row with the key of one of its calls holds the slow writer's statement up half-way.
        await blocker.execute("CREATE TABLE spare AS SELECT * FROM call")
        blocking = blocker.transaction()
        await ingest.report(call("blocked"))
        await blocker.execute("DELETE FROM call WHERE source_id = 'blocked'")
        await blocker.execute("DELETE FROM call_change_new WHERE seq = (SELECT max(seq) FROM call_change_new)")
        await blocking.start()
        await blocker.execute(
            """
            INSERT INTO call (started_at, id, digest, account_id, tier, source, failed, source_id, model)
            SELECT $1, $2, 1, account_id, tier, source, failed, 'blocked', model FROM spare
            """,
            RECENT,
            _id_of_blocked(await account_id(ingest, "default")),
        )
        waiting = asyncio.create_task(_report_by(slow, "slow-1", "blocked", "slow-2"))
        await eventually(lambda: _is_blocked(ingest))

        await ingest.report(call("quick"))
        await number(ingest)
        assert [source for _, source in await consumer.read()] == ["before", "quick"]

        await blocking.rollback()
        await waiting
        await number(ingest)
        assert {source for _, source in await consumer.read()} == {"slow-1", "blocked", "slow-2"}
        assert len(consumer.received) == 5
    finally:
        await blocker.close()


def _id_of_blocked(account: int) -> str:
    return str(call_uuid(account, "native", "blocked", RECENT))


async def _is_blocked(ingest: Ingest) -> bool:
    # On Citus it is a worker that waits.
    is_citus = await ingest.value("SELECT to_regclass('citus_stat_activity') IS NOT NULL")
    return await ingest.value(BLOCKED.format(activity="citus_stat_activity" if is_citus else "pg_stat_activity")) > 0


async def _report_by(writer: Writer, *ids: str) -> None:
    await writer.submit(read_native(body(*map(call, ids))), as_read, ANYONE, source="native")


async def test_concurrent_writers_and_numberers_leave_no_gap(ingest: Ingest) -> None:
    """Four writers, two that number and a consumer at once: each call comes once, in dense positions."""
    writers = [ingest.writer]
    for _ in range(3):
        database = await Database.open(ingest.url)
        ingest.stack.push_async_callback(database.close)
        writers.append(await replace(ingest, database=database).another_writer())
    consumer, done = await Consumer.of(ingest), asyncio.Event()

    async def write(writer: Writer, name: str) -> None:
        for batch in range(15):
            await _report_by(writer, *(f"{name}-{batch}-{row}" for row in range(1 + batch * 3)))

    async def keep_numbering() -> None:
        connection = await asyncpg.connect(ingest.url)
        try:
            while not done.is_set():
                await number_changes(connection, rows=3)
                await asyncio.sleep(0)
        finally:
            await connection.close()

    async def consume() -> None:
        while not done.is_set():
            await consumer.read()
            await asyncio.sleep(0)

    async def write_all() -> None:
        try:
            await asyncio.gather(*(write(writer, f"w{index}") for index, writer in enumerate(writers)))
            await eventually(lambda: _all_numbered(ingest))
        finally:
            done.set()

    await asyncio.gather(write_all(), keep_numbering(), keep_numbering(), consume())
    await consumer.read()

    reported = {f"w{index}-{batch}-{row}" for index in range(4) for batch in range(15) for row in range(1 + batch * 3)}
    assert sorted(source for _, source in consumer.received) == sorted(reported)
    positions = [change.entry.position for page in consumer.pages for change in page.changes]
    assert positions == list(range(1, len(reported) + 1))


async def _all_numbered(ingest: Ingest) -> bool:
    changes, _, _ = await unnumbered(ingest.database.owner)
    return changes == 0


async def test_a_write_that_fails_leaves_nothing_in_the_feed(ingest: Ingest) -> None:
    """A batch that is rolled back and stored again, row by row, comes once."""
    await ingest.database.owner.execute("ALTER TABLE call ADD CONSTRAINT odd CHECK (source_id <> 'odd')")
    await ingest.report(*(call(f"c{index}") for index in range(9)), call("odd"))
    await number(ingest)
    consumer = await Consumer.of(ingest)

    await consumer.read()

    assert sorted(consumer.received) == [("CALL", f"c{index}") for index in range(9)]


async def test_a_scope_gets_its_own_changes_in_the_same_order(ingest: Ingest) -> None:
    """Another account's changes are not there, one account or several; and cursors are of one scope."""
    for index in range(12):
        await ingest.report(call(f"{'abc'[index % 3]}{index}", account="abc"[index % 3]))
    await number(ingest)
    a, b, c = [await account_id(ingest, name) for name in "abc"]
    one, two, every = (
        await Consumer.of(ingest, a),
        await Consumer.of(ingest, a, c, size=2),
        await Consumer.of(ingest),
    )

    for consumer in (one, two, every):
        await consumer.read()

    everything = [source for _, source in every.received]
    assert everything == [f"{'abc'[index % 3]}{index}" for index in range(12)]
    assert [source for _, source in one.received] == [source for source in everything if source[0] == "a"]
    assert [source for _, source in two.received] == [source for source in everything if source[0] in "ac"]
    with pytest.raises(CursorError):
        await replace(one, after=two.after).read()
    with pytest.raises(CursorError):
        await replace(one, scope=scope_of(ingest, b)).read()


async def test_the_database_keeps_the_feed_to_the_accounts_of_the_scope(ingest: Ingest) -> None:
    """Row-level security shows a scoped reader the feed of its accounts, and none of what is not numbered yet."""
    await ingest.report(call("a", account="a"), call("b", account="b"))
    await number(ingest)
    mine = await account_id(ingest, "a")

    async with ingest.database.reading((mine,)) as connection:
        rows = await connection.fetch("SELECT account_id FROM call_change")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM call_change_new")

    assert [row["account_id"] for row in rows] == [mine]


async def test_a_part_of_the_feed_is_read_again_up_to_a_cursor(ingest: Ingest) -> None:
    """`until` ends as if nothing was behind it, whatever has come since; one of another list is refused."""
    await ingest.report(*(call(name) for name in "abc"))
    await number(ingest)
    consumer = await Consumer.of(ingest, size=2)
    first = await consumer.reader.changes(consumer.scope, ChangesRequest(size=2), SELECTION)
    until = first.cursor(first.end)
    await ingest.report(call("d"))
    await number(ingest)

    again = await consumer.reader.changes(consumer.scope, ChangesRequest(size=50, until=until), SELECTION)
    assert [change.row["id"] for change in again.changes] == [change.row["id"] for change in first.changes]
    assert not again.has_next
    assert again.cursor(again.end) == until
    behind = await consumer.reader.changes(consumer.scope, ChangesRequest(after=until, until=until), SELECTION)
    assert (list(behind.changes), behind.has_next) == ([], False)
    one = await Consumer.of(ingest, await account_id(ingest, "default"))
    start = await one.reader.changes(one.scope, ChangesRequest(size=1), SELECTION)
    part = await one.reader.changes(one.scope, ChangesRequest(until=start.cursor(start.end)), SELECTION)
    assert (len(part.changes), part.has_next) == (1, False)
    with pytest.raises(CursorError):
        await one.reader.changes(one.scope, ChangesRequest(until=until), SELECTION)


async def test_a_filter_goes_on_behind_what_it_leaves_out(ingest: Ingest) -> None:
    """A page that a filter leaves empty moves its cursor on, and looks at a bounded part of the feed."""
    many = SCANNED_MAX + 1_200
    for start in range(0, many, 1_000):
        await ingest.report(*(call(f"x{index}") for index in range(start, start + 1_000)))
    await ingest.report(call("rare", model="rare"))
    await number(ingest)
    consumer = await Consumer.of(ingest, predicate=Compare("model", "eq", "rare"))

    await consumer.read()

    assert consumer.received == [("CALL", "rare")]
    assert len(consumer.pages) > 1
    assert consumer.pages[0].end >= SCANNED_MAX
    assert all(page.unreadable is None for page in consumer.pages)


@pytest.mark.parametrize("size", [1, 7, 200])
async def test_pages_end_anywhere_in_what_was_stored_together(ingest: Ingest, size: int) -> None:
    """Many changes lie in one row, and long neighbours are cut: a page goes on in the middle of any."""
    bound = await ingest.another_writer(batch_rows=700)
    for batch in range(4):
        await _report_by(bound, *(f"b{batch}-{row}" for row in range(700)))
        await ingest.report(call(f"other{batch}", account="other"), call(f"single{batch}"))
    await number(ingest)
    mine = await account_id(ingest, "default")
    consumers = [await Consumer.of(ingest, *accounts, size=size) for accounts in ((), (mine,))]
    for consumer in consumers if size > 1 else consumers[1:]:
        await consumer.read()

        sources = [source for _, source in consumer.received if not source.startswith("other")]
        assert sorted(sources) == sorted(
            [f"b{batch}-{row}" for batch in range(4) for row in range(700)] + [f"single{batch}" for batch in range(4)]
        )
    assert await ingest.value("SELECT max(octet_length(ids)) FROM call_change") <= 2_000 * 16


async def test_a_quiet_account_is_found_behind_many_changes_of_others(ingest: Ingest) -> None:
    """The few changes of two accounts come at once, however many changes of others lie between."""
    await ingest.report(call("first", account="a"))
    for start in range(0, 4_000, 2_000):
        await ingest.report(*(call(f"x{index}") for index in range(start, start + 2_000)))
    await ingest.report(call("last", account="b"))
    await number(ingest)
    consumer = await Consumer.of(ingest, await account_id(ingest, "a"), await account_id(ingest, "b"))

    await consumer.read()

    assert [source for _, source in consumer.received] == ["first", "last"]
    assert len(consumer.pages) == 1
