"""Compaction: sums are the same at every moment, whoever merges deltas, dies or writes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from usage_ledger import Ledger, Reported, open_ledger

from service.retention.rollups.compaction import Compaction

START = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)

# What a reader adds up, in one statement: rollups by day and by quarter hour, each with the deltas.
WAITING = """
    SELECT xact_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
SUMS = """
    SELECT
        (SELECT sum(calls)::bigint
         FROM (SELECT calls FROM usage_day UNION ALL SELECT calls FROM usage_delta) d) AS day_calls,
        (SELECT sum(calls)::bigint
         FROM (SELECT calls FROM usage_quarter UNION ALL SELECT calls FROM usage_delta) q) AS calls,
        (SELECT sum(amount) FROM (SELECT amount FROM usage_day UNION ALL SELECT amount FROM usage_delta) d) AS amount,
        (SELECT sum(calls)::bigint
         FROM (SELECT calls FROM usage_tag_day UNION ALL SELECT calls FROM usage_tag_delta) t) AS tagged,
        (SELECT sum(amount) FROM (
            SELECT amount FROM usage_tag_half_hour_all UNION ALL SELECT amount FROM usage_tag_delta
        ) t) AS tagged_amount
"""


@pytest.fixture
async def ledger(any_database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(any_database_url) as opened:
        yield opened


def some_calls(count: int) -> list[Reported]:
    return [
        Reported(
            START + timedelta(minutes=number % 40),
            model=f"model-{number % 3}",
            provider=None if number % 5 == 0 else "openai",
            failed=number % 7 == 0,
            amount=Decimal(number) / 1000,
            currency="USD",
            amount_source=3 if number % 2 else 2,
            input_tokens=number,
            latency_ms=10 ** (number % 4),
            tags={"team": f"team-{number % 4}"},
        )
        for number in range(count)
    ]


async def test_compacted_rollups_are_the_grouped_calls(ledger: Ledger) -> None:
    """After compacting in several steps both rollups hold exactly the sums and histograms of the calls."""
    for _ in range(3):
        await ledger.report(some_calls(50))
        await ledger.compaction.compact()
    await ledger.report(some_calls(100))
    await Compaction(ledger.database.owner, rows=2).compact_all()

    assert await ledger.database.owner.fetchval("SELECT count(*) FROM usage_delta") == 0
    for table, bucket in (("usage_quarter", "15 minutes"), ("usage_day", "1 day")):
        differences = await ledger.database.owner.fetch(
            f"""
            WITH raw AS (
                SELECT date_bin('{bucket}', started_at, '1970-01-01Z') AS bucket_at, account_id, tier, failed, model,
                    coalesce(provider, '') AS provider, coalesce(api_key, '') AS api_key, currency,
                    count(*) AS calls, sum(input_tokens)::bigint AS input_tokens, count(amount) AS priced,
                    sum(amount) AS amount, coalesce(sum(amount) FILTER (WHERE amount_source = 3), 0) AS estimated,
                    array_agg(calledger_latency_bucket(latency_ms) ORDER BY latency_ms) AS bins
                FROM call GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
            ), rolled AS (
                SELECT bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens,
                    priced, amount, estimated, ARRAY(
                        SELECT bin FROM unnest(latency_buckets, latency_counts) WITH ORDINALITY AS l (bin, n, place),
                            generate_series(1, n) ORDER BY place
                    ) AS bins
                FROM {table}
            )
            (SELECT * FROM raw EXCEPT ALL SELECT * FROM rolled) UNION ALL
            (SELECT * FROM rolled EXCEPT ALL SELECT * FROM raw)
            """
        )
        assert differences == []


async def test_a_compaction_takes_a_bounded_number_of_deltas(ledger: Ledger) -> None:
    """One transaction takes at most `rows` deltas, and says how many it took."""
    await ledger.report(some_calls(100))
    waiting = await ledger.database.owner.fetchval("SELECT count(*) FROM usage_delta")

    assert await Compaction(ledger.database.owner, rows=3).compact() == 3
    assert await ledger.database.owner.fetchval("SELECT count(*) FROM usage_delta") == waiting - 3
    assert await ledger.compaction.compact_all() == waiting - 3
    assert await ledger.compaction.compact() == 0


async def test_a_reader_sees_the_same_sums_at_every_moment(ledger: Ledger) -> None:
    """While two compactions run and a writer appends, rollups and deltas together never lose or double a call,
    and neither do sums by tag.
    """
    await ledger.sum_tags("team")
    calls = some_calls(40)
    batches = 25
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(batches):
            await ledger.report(some_calls(40))
        done.set()

    async def compact() -> None:
        compaction = Compaction(ledger.database.owner, rows=5)
        while not done.is_set():
            await compaction.compact()

    async def read() -> list[asyncpg.Record]:
        seen = []
        async with ledger.database.reading(None) as connection:
            while not done.is_set():
                seen.append(await connection.fetchrow(SUMS))
        return seen

    *_, seen = await asyncio.gather(write(), compact(), compact(), read())
    await ledger.compaction.compact_all()
    seen.append(await ledger.database.owner.fetchrow(SUMS))

    batch_amount = sum(call.amount for call in calls if call.amount is not None)
    counts = [row["calls"] or 0 for row in seen]
    assert counts == sorted(counts)
    assert counts[-1] == batches * len(calls)
    for row in seen:
        assert row["day_calls"] == row["calls"] == row["tagged"]
        assert row["amount"] == row["tagged_amount"]
        whole, rest = divmod(row["calls"] or 0, len(calls))
        assert rest == 0
        assert Decimal(row["amount"] or 0) == whole * batch_amount


async def test_only_one_compaction_works_at_a_time(ledger: Ledger) -> None:
    """While one compaction's transaction is open another one merges nothing, and does not wait."""
    await ledger.report(some_calls(10))
    async with ledger.database.owner.acquire() as other, other.transaction():
        assert await other.fetchval("SELECT pg_try_advisory_xact_lock($1)", 0x63616C6C_0003)

        assert await ledger.compaction.compact() == 0
    assert await ledger.compaction.compact() > 0


async def test_a_compaction_that_is_killed_leaves_the_sums_right(ledger: Ledger) -> None:
    """A compaction whose server process dies in the middle has changed nothing; the next one merges all of it."""
    await ledger.sum_tags("team")
    await ledger.report(some_calls(60))
    await ledger.compaction.compact()
    await ledger.report(some_calls(60))
    before = await ledger.database.owner.fetchrow(SUMS)
    waiting = await ledger.database.owner.fetchval(
        "SELECT (SELECT count(*) FROM usage_delta) + (SELECT count(*) FROM usage_tag_delta)"
    )

    async with ledger.database.owner.acquire() as blocker, blocker.transaction():
        # It deletes its deltas, and then waits for this row of the sums, which are changed last.
        await blocker.execute("SELECT FROM usage_tag_day LIMIT 1 FOR UPDATE")
        compacting = asyncio.create_task(ledger.compaction.compact())
        while not (
            pid := await ledger.database.owner.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() "
                "AND query LIKE '%DELETE FROM usage_tag_delta%' AND pid <> pg_backend_pid()"
            )
        ):
            assert not compacting.done()
            await asyncio.sleep(0.01)
        await blocker.execute("SELECT pg_terminate_backend($1::integer)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await compacting

    assert await ledger.database.owner.fetchrow(SUMS) == before
    assert await ledger.compaction.compact_all() == waiting
    assert await ledger.database.owner.fetchrow(SUMS) == before


async def test_a_locked_rollup_delays_a_compaction_and_never_blocks_it_for_ever(ledger: Ledger) -> None:
    """The loop outlives a lock timeout and a lost connection, and compacts once it can."""
    await ledger.report(some_calls(10))
    async with ledger.database.owner.acquire() as blocker:
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE usage_day IN ACCESS EXCLUSIVE MODE")
        loop = asyncio.create_task(ledger.compaction.compact_for_ever(0.01))
        attempts: set[datetime] = set()
        while len(attempts) < 2:
            attempts |= {row[0] for row in await ledger.database.owner.fetch(WAITING)}
            assert not loop.done()
            await asyncio.sleep(0.05)
        await transaction.rollback()
    while await ledger.database.owner.fetchval("SELECT count(*) FROM usage_delta"):
        assert not loop.done()
        await asyncio.sleep(0.02)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_missing_partitions_are_asked_for(ledger: Ledger) -> None:
    """A delta whose rollup has no partition makes the compaction ask for one; without help it is an error."""
    await ledger.report(some_calls(10))
    for (name,) in await ledger.database.owner.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent IN ('usage_day'::regclass, 'usage_quarter'::regclass)"
    ):
        await ledger.database.owner.execute(f"DROP TABLE {name}")
    ledger.partitions.forget()
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.compaction.compact()

    compaction = Compaction(ledger.database.owner, ensure=lambda needs: ledger.partitions.ensure(ledger.policy, needs))
    assert await compaction.compact_all() > 0
    assert (await ledger.database.owner.fetchrow(SUMS))["calls"] == 10
