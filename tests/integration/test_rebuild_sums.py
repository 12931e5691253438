"""`calledger rebuild-sums`: sums made anew from calls, beside a service that stores and folds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ingesting import call
from steward import NOW, SHORT, Killed, Steward, stewarding

from policies.policy.model import Store
from service.retention.rollups.compaction import Compaction
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


def folder(steward: Steward) -> Compaction:
    return Compaction(steward.retention.owner, ensure=lambda needs: steward.retention.partitions.ensure(SHORT, needs))


@pytest.fixture
async def steward(any_database_url: str, tmp_path: Path) -> AsyncIterator[Steward]:
    """Four calls on three days, folded."""
    async with stewarding(any_database_url, tmp_path) as steward:
        for number, (days, amount) in enumerate(((20, "1"), (3, "2"), (3, "0.5"), (0, "2.5"))):
            moment = (NOW - timedelta(days=days, minutes=5)).isoformat()
            money = {"amount": amount, "currency": "USD", "latency_ms": 5}
            await steward.report(call(f"c{number}", started_at=moment, account="acme", api_key="k", **money))
        await folder(steward).compact_all()
        yield steward


async def rebuild(steward: Steward) -> list[tuple[int, int]]:
    """Calls before and after, of each day that was made anew."""
    days = await days_to_rebuild(steward.retention)
    done = [(one.before, one.after) async for one in rebuild_sums(steward.retention, days, actor="cli")]
    await folder(steward).compact_all()
    await rebuild_derived_sums(steward.retention)
    return done


async def test_right_sums_are_left_alone(steward: Steward) -> None:
    """Where sums are those of the calls nothing is written, and no entry is made."""
    size = await steward.ledger.size()
    assert (await rebuild(steward), await steward.ledger.size()) == ([], size)
    assert await steward.value(AMOUNT) == RIGHT


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
async def test_sums_are_those_of_the_calls_again(steward: Steward, damage: str) -> None:
    """Whatever was done to rollups, deltas or the sums over them: fsck names it, and names nothing afterwards."""
    await steward.retention.owner.execute(damage)
    assert "usage" in await steward.findings()
    await rebuild(steward)
    assert await steward.findings() == {}
    assert await steward.value(AMOUNT) == RIGHT
    assert await steward.value("SELECT count(*) FROM usage_delta") == 0


async def test_the_ledger_says_what_the_sums_said_before(steward: Steward) -> None:
    """Each day has its entry: how many calls its sums said, and say now. So nobody hides deleted calls by this."""
    await steward.retention.owner.execute("DELETE FROM call WHERE source_id = 'c1'")
    assert await rebuild(steward) == [(2, 1)]
    newest = await steward.ledger.entry(await steward.ledger.size() - 1)
    amounts = {"amount_before": "2.5", "amount_after": "0.5"}
    facts = {"tier": 1, "day": f"{NOW - timedelta(days=3, minutes=5):%Y-%m-%d}", "calls_before": 2, "calls_after": 1}
    assert (newest.kind, dict(newest.facts), newest.actor) == ("SUMS_REBUILT", facts | amounts, "cli")


async def test_days_whose_calls_are_gone_keep_their_sums(steward: Steward) -> None:
    """What was purged, or is in a partition that is gone, is in the sums alone: it is never made anew from nothing."""
    first = (await steward.retention.partitions.list(Store.CALL))[0].name
    await steward.retention.owner.execute(f"DROP TABLE {first}")
    assert await rebuild(steward) == []
    assert await steward.value(AMOUNT) == RIGHT


async def test_readers_and_writers_go_on_meanwhile(steward: Steward) -> None:
    """Calls that come while days are made anew are counted once, and who reads sees the old sums or the right ones."""
    await steward.retention.owner.execute("DELETE FROM usage_day")
    await steward.retention.owner.execute("DELETE FROM usage_quarter")
    seen, stop = set[Decimal](), asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            statement = f"SELECT (SELECT sum(amount) FROM call) - ({AMOUNT})"
            seen.add(await steward.value(statement))

    async def report() -> None:
        for number in range(30):
            moment = (NOW - timedelta(days=3, minutes=number)).isoformat()
            row = call(f"n{number}", started_at=moment, account="acme", amount="1", currency="USD")
            await steward.report(row)
            await folder(steward).compact()

    reading, reporting = asyncio.create_task(read()), asyncio.create_task(report())
    await rebuild(steward)
    await reporting
    stop.set()
    await reading
    await rebuild(steward)

    # Wrong by what is still to be made anew, and by nothing else.
    assert seen <= {RIGHT, Decimal(5), Decimal("2.5"), Decimal(0)}
    assert await steward.findings() == {}


async def test_killed_between_days_it_goes_on(steward: Steward) -> None:
    """Each day is whole: what was done stays done, and the next run does the rest."""
    await steward.retention.owner.execute("DELETE FROM usage_quarter")
    days = await days_to_rebuild(steward.retention)
    with pytest.raises(Killed):
        async for _ in rebuild_sums(steward.retention, days, actor="cli"):
            raise Killed
    assert len(await days_to_rebuild(steward.retention)) == len(days) - 1
    await rebuild(steward)
    assert await steward.findings() == {}
