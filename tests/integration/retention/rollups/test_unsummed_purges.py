"""Purges of days whose sums by tag are left to calls: what outlives these is made, whatever else waits or has gone."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from ingesting import call
from retaining import NOW, RetainedLedger, open_retained

from policies.policy.model import DataClass
from service.retention.purge.planning import plan_purge
from service.retention.rollups.tag_keys import keep_tags
from service.retention.rollups.unsummed import look_at

MOMENT = NOW - timedelta(days=500)
OF_DAY = ("usage_tag_day", "usage_tag_day_all", "usage_day", "usage_day_all")
CALLS = 60


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """Calls past their window, of one team and as many accounts, whose sums by tag and account are left to them."""
    async with open_retained(database_url, tmp_path) as retained:
        await keep_tags(retained.retention)
        rows = [
            call(f"{n}", started_at=MOMENT.isoformat(), account=f"a{n}", tags={"team": "search"}) for n in range(CALLS)
        ]
        await retained.report(*rows)
        await retained.compact()
        lost = await look_at(retained.retention.owner, 1, MOMENT.replace(hour=0, minute=0, second=0))
        assert {"usage_tag_day", "usage_tag_half_hour"} <= set(lost)
        assert not {"usage_tag_day_all", "usage_tag_half_hour_all"} & set(lost)
        yield retained


async def sums(retained: RetainedLedger) -> list[int]:
    """The calls in each sum by day."""
    return [await retained.value(f"SELECT coalesce(sum(calls), 0)::integer FROM {table}") for table in OF_DAY]


async def test_a_purge_of_sums_alone_keeps_no_later_purge(retained: RetainedLedger) -> None:
    """Half hours that were purged before their calls, as a plan of one class does it, are not made again: the calls
    go, and their sums by day stay.
    """
    alone = (await plan_purge(retained.retention)).part(data_class=DataClass.BILLING)
    await retained.purge(plan_digest=alone.digest())
    assert await retained.value("SELECT count(*) FROM usage_tag_half_hour_all") == 0
    assert await retained.value("SELECT count(*) FROM call") == CALLS

    await retained.purge()

    assert await retained.value("SELECT count(*) FROM call") == 0
    assert await sums(retained) == [CALLS] * len(OF_DAY)
    assert await retained.value("SELECT count(*) FROM usage_unsummed") == 0
    assert await retained.findings() == {}


async def test_a_purge_does_not_wait_for_what_is_not_compacted_yet(retained: RetainedLedger) -> None:
    """Of another day, whose sums have no partition: the purge makes its own sums, and compaction those later."""
    other = NOW - timedelta(days=300)
    await retained.report(call("late", started_at=other.isoformat(), account="a1", tags={"team": "search"}))

    await retained.purge()

    assert await retained.value("SELECT count(*) FROM call") == 1
    assert await sums(retained) == [CALLS] * len(OF_DAY)
    await retained.compact()
    assert await sums(retained) == [CALLS + 1] * len(OF_DAY)
    assert await retained.findings() == {}
