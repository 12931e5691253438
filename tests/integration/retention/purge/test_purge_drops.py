"""Partitions dropped file by file: held up, cut off, killed, raced by holds, cancelled; on both PostgreSQLs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from ingesting import call
from retaining import OLD, Killed, RetainedLedger

from policies.policy.model import Store
from service.retention.holds.holds import holds_locked, page_holds
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions, quoted

WEEKS = 6
INDEXES = 5
"""Of a partition of calls."""
AT_ONCE = 2
"""Connections that a purge has while it drops: one for its lock, and one for what goes."""
ENTRIES = ["PURGE_INTENT", "KEY_DESTROYED", "PURGE_RESULT"]
ALL_PARTS = [f"{week}{letter}" for week in reversed(range(WEEKS)) for letter in "ab"]
DROPS = ("held rows copied", "index dropped", "partition dropped")
HELD_PARTS = "SELECT source_id FROM call_held ORDER BY started_at, source_id"
INDEXES_LEFT = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass"
WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass"
HOLDS_WAITED_FOR = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
CUT_OFF = {
    "its connection is lost": "SELECT pg_terminate_backend($1::integer)",
    "its statement is timed out": "SELECT pg_cancel_backend($1::integer)",
}


async def fill(retained: RetainedLedger) -> list[str]:
    """Two calls past the window in each of six partitions, whose names are the answer, oldest first."""
    moments = [OLD - timedelta(weeks=week) for week in range(WEEKS)]
    await retained.report(
        *(
            call(f"{week}{letter}", started_at=moment.isoformat(), account="acme", user="u")
            for week, moment in enumerate(moments)
            for letter in "ab"
        )
    )
    return [part.name for part in await retained.retention.partitions.list(Store.CALL)]


async def detach_all(retained: RetainedLedger) -> None:
    """Carry a purge out until it is about to drop."""
    await stop_at(retained, "recorded DETACHED")


async def stop_at(retained: RetainedLedger, step: str, *, times: int = 1) -> None:
    """Carry a purge out until this step has taken effect as often."""
    left = times

    def on_step(taken: str) -> None:
        nonlocal left
        left -= taken == step
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        await retained.purge(on_step)


@asynccontextmanager
async def reading(url: str, *tables: str) -> AsyncIterator[None]:
    """Somebody reads these tables, in a transaction that stays open."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            for table in tables:
                await connection.execute(f"LOCK TABLE {quoted(table)} IN ACCESS SHARE MODE")
            yield
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - what others do in the database
        await asyncio.sleep(0.02)


async def assert_ended_once(retained: RetainedLedger) -> None:
    """One record of all of it, every row counted once, every entry there once, nothing left and nothing wrong."""
    assert await retained.retention.partitions.detached() == frozenset()
    records = await retained.ingest.fetch("SELECT state, rows_dropped, failure FROM purge_run WHERE plan_digest <> ''")
    assert [tuple(record) for record in records if record["rows_dropped"]] == [("DONE", 2 * WEEKS, None)]
    assert [kind for kind in await retained.kinds() if kind != "HOLD_PLACED"] == ENTRIES
    assert await retained.findings() == {}


async def test_a_partition_that_is_read_keeps_none_of_the_others(
    retained: RetainedLedger, any_database_url: str
) -> None:
    """Whoever reads a detached partition delays its drop; the others go, and the next purge drops what is left."""
    names = await fill(retained)
    await detach_all(retained)
    retained.retention.partitions = Partitions(retained.retention.owner, attempts=1)
    async with reading(any_database_url, names[1]):
        with pytest.raises(PartitionsBusyError):
            await retained.purge()
        assert await retained.retention.partitions.detached() == {names[1]}
        assert await retained.value("SELECT failure FROM purge_run WHERE state = 'DETACHED'")
    (run,) = await retained.purge()
    assert run.rows_dropped == 2 * WEEKS
    await assert_ended_once(retained)


@pytest.mark.parametrize("cut_off", CUT_OFF.values(), ids=CUT_OFF)
async def test_a_drop_that_is_cut_off_stops_none_of_the_others(
    retained: RetainedLedger, any_database_url: str, cut_off: str
) -> None:
    """When one of the drops fails the others end, nothing is recorded as dropped, and the next purge ends the same."""
    names = await fill(retained)
    await detach_all(retained)
    async with reading(any_database_url, names[2]):
        purging = asyncio.create_task(retained.purge())
        await until(lambda: retained.value(WAITING, names[2]))
        await retained.retention.owner.execute(cut_off, await retained.value(WAITING, names[2]))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await purging
    assert await retained.retention.partitions.detached() == {names[2]}
    assert await retained.value("SELECT state FROM purge_run") == "DETACHED"
    await retained.purge()
    await assert_ended_once(retained)


@pytest.mark.parametrize("dropped", range(INDEXES + 1))
async def test_what_has_lost_its_indexes_is_still_a_partition_that_goes(retained: RetainedLedger, dropped: int) -> None:
    """Each index goes by itself, before any row; whoever dies among them leaves what the next purge finds and ends."""
    names = await fill(retained)
    await stop_at(retained, "index dropped" if dropped else "held rows copied", times=dropped or 1)
    assert await retained.value(INDEXES_LEFT, names[0]) == INDEXES - dropped
    assert await retained.value(f"SELECT count(*) FROM {quoted(names[0])}") == 2
    assert names[0] in await retained.retention.partitions.detached()
    assert (await retained.findings()).keys() == {"deadlines"}
    await retained.purge()
    await assert_ended_once(retained)


@pytest.mark.parametrize("dropped", range(INDEXES + 1))
async def test_a_hold_placed_among_indexes_keeps_the_rows(retained: RetainedLedger, dropped: int) -> None:
    """However many indexes are gone when it is placed, after a purge that died there, every row is there to be kept."""
    await fill(retained)
    await stop_at(retained, "index dropped" if dropped else "held rows copied", times=dropped or 1)
    await retained.hold()
    (run,) = await retained.purge()
    assert await retained.column(HELD_PARTS) == ALL_PARTS
    assert run.rows_held_back == (await page_holds(retained.retention.owner, 1))[0].copies == 2 * WEEKS
    await assert_ended_once(retained)


async def test_what_was_copied_is_not_copied_again(retained: RetainedLedger, any_database_url: str) -> None:
    """Rows are copied while the key is there; when they go, nobody reads them all for the same holds once more."""
    names = await fill(retained)
    await retained.hold()
    await detach_all(retained)
    async with reading(any_database_url, names[0]):
        purging = asyncio.create_task(retained.purge())
        await until(lambda: retained.value(WAITING, names[0]))
        assert await retained.column(HELD_PARTS) == ALL_PARTS[:2]
        await retained.retention.owner.execute("DELETE FROM call_held")
    await purging
    assert await retained.column(HELD_PARTS) == ALL_PARTS[2:]


async def test_a_hold_between_two_drops_keeps_all_that_is_not_dropped(
    retained: RetainedLedger, any_database_url: str
) -> None:
    """Placed while drops are under way, a hold lets the one drop pass that was before it, and keeps every other row.

    Also those of the partition whose turn it is: they were not copied, since no hold named them, and are still there.
    """
    names = await fill(retained)
    await detach_all(retained)
    async with reading(any_database_url, names[1]):
        purging = asyncio.create_task(retained.purge())
        await until(lambda: retained.value(WAITING, names[1]))
        await retained.hold()
        assert await retained.column(HELD_PARTS) == []
    (run,) = await purging
    kept = ALL_PARTS[2:]
    assert await retained.column(HELD_PARTS) == kept
    assert (run.rows_held_back, run.rows_dropped) == (len(kept), 2 * WEEKS)
    assert (await page_holds(retained.retention.owner, 1))[0].copies == len(kept)
    await assert_ended_once(retained)


async def test_a_hold_that_waits_for_the_copying_keeps_all_of_it(
    retained: RetainedLedger, any_database_url: str
) -> None:
    """Placed behind the copying of a partition for other holds, and before its rows go, a hold keeps them too."""
    await fill(retained)
    await detach_all(retained)
    async with asyncpg.create_pool(any_database_url, min_size=0, max_size=1) as others, holds_locked(others) as lock:
        purging = asyncio.create_task(retained.purge())
        await until(lambda: lock.fetchval(f"SELECT ({HOLDS_WAITED_FOR}) = 1"))
        placing = asyncio.create_task(retained.hold())
        await until(lambda: lock.fetchval(f"SELECT ({HOLDS_WAITED_FOR}) = 2"))
    await placing
    (run,) = await purging
    assert await retained.column(HELD_PARTS) == ALL_PARTS
    assert (run.rows_held_back, run.rows_dropped) == (2 * WEEKS, 2 * WEEKS)
    assert (await page_holds(retained.retention.owner, 1))[0].copies == 2 * WEEKS
    await assert_ended_once(retained)


@pytest.mark.parametrize("number", range(1, 2 * (INDEXES + 2) + 1))
async def test_a_hold_placed_at_any_drop_keeps_partitions_whole(retained: RetainedLedger, number: int) -> None:
    """Whenever it is placed, it keeps of each partition all or nothing, and what was not dropped by then it keeps."""
    await fill(retained)
    left, placing, gone = number, [], 0

    def on_step(step: str) -> None:
        nonlocal left, gone
        gone += step == "partition dropped" and not (placing and placing[0].done())
        left -= step in DROPS
        if left == 0 and not placing:
            placing.append(asyncio.create_task(retained.hold()))

    (run,) = await retained.purge(on_step)
    await placing[0]
    kept = await retained.column(HELD_PARTS)
    assert [one[0] for one in kept[::2]] == [one[0] for one in kept[1::2]]
    assert len(kept) == run.rows_held_back >= 2 * (WEEKS - gone)
    assert (await page_holds(retained.retention.owner, 1))[0].copies == len(kept)
    await assert_ended_once(retained)


async def test_a_purge_that_is_cancelled_leaves_no_drop_behind(retained: RetainedLedger) -> None:
    """A service that ends in the midst of drops ends them first; the next purge does the rest."""
    await fill(retained)
    tasks = asyncio.all_tasks()
    purging = asyncio.create_task(
        retained.purge(lambda step: purging.cancel() if step == "partition dropped" else None)
    )
    with pytest.raises(asyncio.CancelledError):
        await purging
    assert asyncio.all_tasks() == tasks
    assert await retained.value("SELECT state FROM purge_run") == "DETACHED"
    await retained.purge()
    await assert_ended_once(retained)


async def test_drops_leave_connections_to_others(retained: RetainedLedger, any_database_url: str) -> None:
    """However many partitions go, the purge has two connections of the owner, and the third is left to others."""
    names = await fill(retained)
    await detach_all(retained)
    owner = retained.retention.owner
    seen = set()
    async with reading(any_database_url, *names):
        purging = asyncio.create_task(retained.purge())
        while AT_ONCE not in seen:
            seen.add(owner.get_size() - owner.get_idle_size())
            await asyncio.sleep(0.01)
    while not purging.done():
        seen.add(owner.get_size() - owner.get_idle_size())
        await asyncio.sleep(0.001)
    await purging
    assert max(seen) == AT_ONCE == owner.get_max_size() - 1
    await assert_ended_once(retained)
