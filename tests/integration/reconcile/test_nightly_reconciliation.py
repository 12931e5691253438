"""When sources are compared at night, of which days, and what becomes of a night in which something goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from newapi import consumed, sqlite_of
from retaining import windows

from service.imports.registry import AskedSource, add_source
from service.imports.sealing import SealedAddress
from service.reconcile.nightly import reconcile_due
from service.reconcile.recorded_calls import first_served
from service.runtime.runtime import Runtime, open_runtime
from service.settings import NightlyTime, Settings

NOW = datetime.now(UTC)
TODAY = datetime.combine(NOW.date(), time(), UTC)
ZONE = ZoneInfo("UTC")
AT = NightlyTime(time(), ZONE)
KEPT = "SELECT name, first_day, last_day, failure FROM reconciliation ORDER BY made_at, name"


@pytest.fixture
async def runtime(database_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(Settings(data=tmp_path / "data", database_url=database_url)) as runtime:
        log = [consumed(1, created_at=int(TODAY.timestamp()) - 40_000)]
        address = sqlite_of(tmp_path / "logs.db", "new-api 1.0", log)
        for name in ("one", "two"):
            where = SealedAddress(address, None, None)
            await add_source(runtime, AskedSource(name, "new-api", where, name, {}, 3600))
        yield runtime


async def execute(runtime: Runtime, statement: str, *values: object) -> None:
    await runtime.database.owner.execute(statement, *values)


async def read_at(runtime: Runtime, moment: datetime) -> None:
    added = TODAY - timedelta(days=30)
    await execute(runtime, "UPDATE source SET read_at = $1, created_at = $2", moment, added)


async def kept(runtime: Runtime) -> list[Any]:
    return [tuple(row) for row in await runtime.database.owner.fetch(KEPT)]


async def test_a_night_waits_for_a_source_that_is_not_read_yet(runtime: Runtime) -> None:
    """At midnight no source can have been read since; it is compared when it was, and said not to have been late in the
    day."""
    await read_at(runtime, TODAY + timedelta(minutes=1))
    assert await reconcile_due(runtime, AT, TODAY + timedelta(minutes=2)) == 0
    assert await kept(runtime) == []
    await execute(runtime, "UPDATE source SET read_at = $1 WHERE name = 'one'", TODAY + timedelta(minutes=6))
    assert await reconcile_due(runtime, AT, TODAY + timedelta(minutes=7)) == 1
    assert await reconcile_due(runtime, AT, TODAY + timedelta(hours=20)) == 1
    (one, first, last, failure), (two, _, _, late) = await kept(runtime)
    yesterday = TODAY.date() - timedelta(days=1)
    assert (one, first, last, failure) == ("one", yesterday - timedelta(days=6), yesterday, None)
    assert two == "two" and late.startswith("the source was not read to its end since then")


async def test_what_is_wrong_with_one_source_keeps_no_other_waiting(runtime: Runtime) -> None:
    """An error that nobody has thought of is kept as the failure of its source, once, and the next one is compared."""
    await read_at(runtime, TODAY + timedelta(hours=1))
    await execute(runtime, """UPDATE source SET options = '{"quota_per_unit": "many"}' WHERE name = 'one'""")
    for expected in (2, 0):
        assert await reconcile_due(runtime, AT, TODAY + timedelta(hours=2)) == expected
    failures = {name: failure for name, _, _, failure in await kept(runtime)}
    assert failures["one"].startswith("something went wrong here (InvalidOperation)")
    assert failures["two"] is None


async def test_a_night_keeps_no_connection_of_the_owners_pool(runtime: Runtime) -> None:
    """With one connection of the pool left it is compared all the same: who keeps one and waits for another may wait
    for somebody who does so, too."""
    await read_at(runtime, TODAY + timedelta(hours=1))
    async with AsyncExitStack() as stack:
        for _ in range(runtime.database.owner.get_max_size() - 1):
            await stack.enter_async_context(runtime.database.owner.acquire())
        async with asyncio.timeout(60):
            assert await reconcile_due(runtime, AT, TODAY + timedelta(hours=2)) == 2
    assert [failure for *_, failure in await kept(runtime)] == [None, None]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Shanghai"])
async def test_days_whose_calls_are_gone_are_left_out(runtime: Runtime, zone: str) -> None:
    """Where calls are kept for four days, a night compares those days that are there as a whole."""
    runtime.applied = replace(runtime.applied, policy=windows(4))
    now = datetime.now(UTC)  # and not when this file was read: midnight of one of these zones may lie between
    await read_at(runtime, now + timedelta(days=1))
    at = NightlyTime(time(), ZoneInfo(zone))
    assert await reconcile_due(runtime, at, now) == 2
    for _, first, last, failure in await kept(runtime):
        assert failure is None
        assert isinstance(first, date) and timedelta(days=1) <= last - first <= timedelta(days=2)
        assert datetime.combine(first, time(), at.zone) >= first_served(windows(4), now)
