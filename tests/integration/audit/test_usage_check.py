"""The check of usage: silent when rollups and deltas are the sums of the calls, and telling where they are not."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Store
from service.query.usage.consistency import _STATEMENT, UsageDifference, check_usage


@pytest.fixture
async def ledger(any_database_url: str) -> AsyncIterator[Ledger]:
    """Calls of several days and accounts, some of them compacted."""
    async with open_ledger(any_database_url) as opened:
        now = await opened.now()
        for _ in range(2):
            await opened.report(
                Reported(
                    now - timedelta(hours=hours),
                    account="acme" if hours % 2 else "beta",
                    amount=Decimal(hours),
                    currency="USD",
                    amount_source=hours % 3 + 1,
                    input_tokens=hours,
                    latency_ms=hours * 100,
                )
                for hours in range(0, 100, 5)
            )
            await opened.compaction.compact()
        await opened.report([Reported(now, latency_ms=7)])
        yield opened


async def check(ledger: Ledger) -> list[UsageDifference]:
    return [found async for found in check_usage(ledger.database.owner, ledger.policy)]


async def test_what_was_stored_whole_is_right(ledger: Ledger) -> None:
    """No difference, compacted or not, and also for calls of the next day and of long ago."""
    now = await ledger.now()
    await ledger.report([Reported(now + timedelta(hours=30)), Reported(now - timedelta(days=395))])
    assert await check(ledger) == []
    await ledger.compaction.compact_all()
    assert await check(ledger) == []


@pytest.mark.parametrize(
    ("damage", "stores"),
    [
        ("UPDATE {} SET calls = calls + 1 WHERE {}", {"usage_quarter", "usage_day"}),
        ("UPDATE {} SET amount = amount - 0.000000000001 WHERE {}", {"usage_quarter", "usage_day"}),
        ("UPDATE {} SET latency_counts[1] = latency_counts[1] + 1 WHERE {}", {"usage_quarter", "usage_day"}),
        ("UPDATE {} SET latency_buckets[1] = latency_buckets[1] + 1 WHERE {}", {"usage_quarter", "usage_day"}),
        ("UPDATE {} SET model = 'other' WHERE {}", {"usage_quarter", "usage_day"}),
        ("UPDATE {} SET failed = NOT failed WHERE {}", {"usage_quarter", "usage_day"}),
        ("DELETE FROM {} WHERE {}", {"usage_quarter", "usage_day"}),
    ],
)
async def test_any_damage_to_a_rollup_is_found(ledger: Ledger, damage: str, stores: set[str]) -> None:
    """A count, an amount, a latency, a key or a whole row: the store, the account and the day are named."""
    await ledger.compaction.compact_all()
    for store in sorted(stores):
        number, day = await ledger.database.owner.fetchrow(
            f"SELECT account_id, date_trunc('day', bucket_at, 'UTC') FROM {store} "
            "WHERE latency_counts <> '{}' ORDER BY bucket_at LIMIT 1"
        )
        where = (
            f"(tableoid, ctid) = (SELECT tableoid, ctid FROM {store} WHERE latency_counts <> '{{}}' "
            "ORDER BY bucket_at LIMIT 1)"
        )
        assert (await ledger.database.owner.execute(damage.format(store, where))).endswith(" 1")

        [found] = await check(ledger)

        assert (found.store, found.account_id, found.day) == (Store(store), number, day)
        await ledger.database.owner.execute(f"DELETE FROM {store} WHERE bucket_at < '{day + timedelta(days=1)}'")
        await ledger.database.owner.execute(f"DELETE FROM call WHERE started_at < '{day + timedelta(days=1)}'")
        for other in ("usage_quarter", "usage_day"):
            await ledger.database.owner.execute(f"DELETE FROM {other} WHERE bucket_at < '{day + timedelta(days=1)}'")


@pytest.mark.parametrize("damage", ["DELETE FROM usage_delta", "INSERT INTO usage_delta SELECT * FROM usage_delta"])
async def test_a_lost_or_doubled_delta_is_found_in_both_rollups(ledger: Ledger, damage: str) -> None:
    """A delta belongs to both; the difference says what is stored and what is summed up."""
    await ledger.database.owner.execute(damage)

    found = await check(ledger)

    assert [difference.store for difference in found] == [Store.USAGE_QUARTER, Store.USAGE_DAY]
    assert all(difference.calls_stored != difference.calls_summed for difference in found)


async def test_a_lost_call_is_found(ledger: Ledger) -> None:
    """A call that is gone while its sums remain."""
    await ledger.database.owner.execute("DELETE FROM call WHERE latency_ms = 7")
    [quarter, day] = await check(ledger)
    assert (quarter.calls_summed, quarter.calls_stored) == ("1", None)
    assert isinstance(day.day, datetime)


async def test_a_call_is_read_once_for_both_rollups(ledger: Ledger) -> None:
    """The days and the quarter hours of a UTC day are compared with its calls in one reading of these."""
    day = (await ledger.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    stores = ["usage_quarter", "usage_day"]

    # Bound, not prepared: partitions of other days are left out when it is planned.
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = 'force_custom_plan'")
        rows = await connection.fetch(f"EXPLAIN {_STATEMENT}", 1, day, day + timedelta(days=1), stores)

    scans = [row[0] for row in rows if "Scan" in row[0] and " on call_t" in row[0]]
    assert len(scans) == 1, scans
