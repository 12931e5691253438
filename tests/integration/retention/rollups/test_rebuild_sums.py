"""`calledger rebuild-sums`: sums made anew from calls, beside a service that stores and compacts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ingesting import call
from retaining import NOW, Killed, RetainedLedger, open_retained

from policies.policy.model import Store
from service.retention.rollups.rebuild import days_to_rebuild, rebuild_derived_sums, rebuild_sums

AMOUNT = """
    SELECT coalesce(sum(amount), 0)
    FROM (SELECT amount FROM usage_day UNION ALL SELECT amount FROM usage_delta) AS summed
"""
TWICE = """
    INSERT INTO usage_delta
    SELECT bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, '{}' FROM usage_day
"""
RIGHT = Decimal(6)


@pytest.fixture
async def retained(any_database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """Four calls on three days, compacted."""
    async with open_retained(any_database_url, tmp_path) as retained:
        for number, (days, amount) in enumerate(((20, "1"), (3, "2"), (3, "0.5"), (0, "2.5"))):
            moment = (NOW - timedelta(days=days, minutes=5)).isoformat()
            money = {"amount": amount, "currency": "USD", "latency_ms": 5}
            await retained.report(call(f"c{number}", started_at=moment, account="acme", api_key="k", **money))
        await retained.compact()
        yield retained


async def rebuild(retained: RetainedLedger) -> list[tuple[int, int]]:
    """Calls before and after, of each day that was made anew."""
    days = await days_to_rebuild(retained.retention)
    done = [(one.before, one.after) async for one in rebuild_sums(retained.retention, days, actor="cli")]
    await retained.compact()
    await rebuild_derived_sums(retained.retention)
    return done


async def test_right_sums_are_left_alone(retained: RetainedLedger) -> None:
    """Where sums are those of the calls nothing is written, and no entry is made."""
    size = await retained.ledger.size()
    assert (await rebuild(retained), await retained.ledger.size()) == ([], size)
    assert await retained.value(AMOUNT) == RIGHT


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE usage_day SET amount = amount + 7, calls = calls + 1",
        "DELETE FROM usage_quarter",
        "DELETE FROM usage_day",
        "UPDATE usage_quarter SET latency_buckets = '{}', latency_counts = '{}'",
        TWICE,
        "UPDATE usage_day_all SET amount = 0",
        "DELETE FROM usage_half_hour",
    ],
    ids=range(7),
)
async def test_sums_are_those_of_the_calls_again(retained: RetainedLedger, damage: str) -> None:
    """Whatever was done to rollups, deltas or the sums over them: fsck names it, and names nothing afterwards."""
    await retained.retention.owner.execute(damage)
    assert "usage" in await retained.findings()
    await rebuild(retained)
    assert await retained.findings() == {}
    assert await retained.value(AMOUNT) == RIGHT
    assert await retained.value("SELECT count(*) FROM usage_delta") == 0


async def test_the_ledger_says_what_the_sums_said_before(retained: RetainedLedger) -> None:
    """Each day has its entry: how many calls its sums said, and say now. So nobody hides deleted calls by this."""
    await retained.retention.owner.execute("DELETE FROM call WHERE source_id = 'c1'")
    assert await rebuild(retained) == [(2, 1)]
    newest = await retained.ledger.entry(await retained.ledger.size() - 1)
    amounts = {"amount_before": "2.5", "amount_after": "0.5"}
    facts = {"tier": 1, "day": f"{NOW - timedelta(days=3, minutes=5):%Y-%m-%d}", "calls_before": 2, "calls_after": 1}
    assert (newest.kind, dict(newest.facts), newest.actor) == ("SUMS_REBUILT", facts | amounts, "cli")


async def test_days_whose_calls_are_gone_keep_their_sums(retained: RetainedLedger) -> None:
    """What was purged, or is in a partition that is gone, is in the sums alone: it is never made anew from nothing."""
    first = (await retained.retention.partitions.list(Store.CALL))[0].name
    await retained.retention.owner.execute(f"DROP TABLE {first}")
    assert await rebuild(retained) == []
    assert await retained.value(AMOUNT) == RIGHT


async def test_days_whose_calls_go_meanwhile_keep_their_sums(retained: RetainedLedger) -> None:
    """A purge that detaches calls between the choice of days and their turn: sums by day outlive them, and stay."""
    await retained.retention.owner.execute("DELETE FROM usage_quarter")
    days = await days_to_rebuild(retained.retention)
    oldest = (await retained.retention.partitions.list(Store.CALL))[0]
    await retained.retention.partitions.detach(oldest)
    done = [(one.tier, one.day) async for one in rebuild_sums(retained.retention, days, actor="cli")]
    assert done == days[1:]
    assert await retained.value(AMOUNT) == RIGHT
    assert (await retained.kinds()).count("SUMS_REBUILT") == len(done)


async def test_readers_and_writers_go_on_meanwhile(retained: RetainedLedger) -> None:
    """Calls that come while days are made anew are counted once, and who reads sees the old sums or the right ones."""
    await retained.retention.owner.execute("DELETE FROM usage_day")
    await retained.retention.owner.execute("DELETE FROM usage_quarter")
    seen, stop = set[Decimal](), asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            statement = f"SELECT (SELECT sum(amount) FROM call) - ({AMOUNT})"
            seen.add(await retained.value(statement))

    async def report() -> None:
        for number in range(30):
            moment = (NOW - timedelta(days=3, minutes=number)).isoformat()
            row = call(f"n{number}", started_at=moment, account="acme", amount="1", currency="USD")
            await retained.report(row)
            await retained.ingest.compaction().compact()

    reading, reporting = asyncio.create_task(read()), asyncio.create_task(report())
    await rebuild(retained)
    await reporting
    stop.set()
    await reading
    await rebuild(retained)

    # Wrong by what is still to be made anew, and by nothing else.
    assert seen <= {RIGHT, Decimal(5), Decimal("2.5"), Decimal(0)}
    assert await retained.findings() == {}


async def test_killed_between_days_it_goes_on(retained: RetainedLedger) -> None:
    """Each day is whole: what was done stays done, and the next run does the rest."""
    await retained.retention.owner.execute("DELETE FROM usage_quarter")
    days = await days_to_rebuild(retained.retention)
    with pytest.raises(Killed):
        async for _ in rebuild_sums(retained.retention, days, actor="cli"):
            raise Killed
    assert len(await days_to_rebuild(retained.retention)) == len(days) - 1
    await rebuild(retained)
    assert await retained.findings() == {}
