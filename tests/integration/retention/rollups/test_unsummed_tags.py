"""Days whose sums by tag do not pay: calls answer instead, exactly and at every moment."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from usage_ledger import Ledger, Reported, open_ledger

from service.query.buckets.tier_days import TierDays
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.predicate import And, Compare, TagMatch
from service.query.usage.report import CostSource, read_costs
from service.query.usage.report_request import CostRequest
from service.query.usage.source import UsageReader
from service.retention.rollups.compaction import LOCK, Compaction
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_sums import BY_ACCOUNT, CROWDED_MIN, EVERY_TABLE, derive_tags
from service.retention.rollups.unsummed import EVERY_TABLE as EVERY_SUM
from service.retention.rollups.unsummed import leave, look_at, make_sums

DAY = timedelta(days=1)
EARLIER = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 9 * DAY
OF_DAY = TierDays(1, EARLIER, EARLIER + DAY)
WITHIN = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + DAY)))


@pytest.fixture
async def ledger(any_database_url: str) -> AsyncIterator[Ledger]:
    """On each version of PostgreSQL, with sums by team."""
    async with open_ledger(any_database_url) as ledger:
        await ledger.sum_tags("team")
        yield ledger


def sparse(number: int, teams: int = 1, moment: datetime = EARLIER) -> list[Reported]:
    """Calls of a hundred accounts, over the day, of so many teams; the first has none."""
    return [
        Reported(
            moment + timedelta(minutes=one * 7 % 1440),
            account=f"account-{one % 100}",
            amount=Decimal(1),
            currency="USD",
            amount_source=1,
            latency_ms=one,
            tags={"team": f"team-{one % teams}"} if one else {},
        )
        for one in range(number)
    ]


async def by_team(reader: UsageReader, *dimensions: str) -> dict[tuple[str | None, ...], int]:
    """Calls by team, and besides by some dimensions."""
    report = await read_costs(reader, CostRequest(WITHIN, dimensions, tags=["team"], first=10_000))
    assert report.coverage.source is CostSource.ROLLUPS
    found = Counter[tuple[str | None, ...]]()
    for row in report.rows:
        found[*row.key.values.values(), (row.key.tags or {})["team"]] += int(row.figures.sums["calls"])
    return found


async def differences(ledger: Ledger) -> list[str]:
    owner, policy = ledger.database.owner, ledger.policy
    checks = (check_tags(owner, policy), check_tags_of_all(owner, policy))
    return [found.table for check in checks async for found in check]


async def filled(ledger: Ledger) -> set[str]:
    """The tables of sums by tag that have rows."""
    owner = ledger.database.owner
    return {table for table in EVERY_TABLE if await owner.fetchval(f"SELECT count(*) FROM {table}")}


@pytest.mark.parametrize(
    ("teams", "kept"),
    [(1, {"usage_tag_half_hour_all", "usage_tag_day_all"}), (20, {"usage_tag_day_all"}), (200, set[str]())],
    ids=["one team", "twenty", "as many as calls"],
)
async def test_sums_by_tag_are_kept_where_they_are_fewer_than_calls(ledger: Ledger, teams: int, kept: set[str]) -> None:
    """Each table by itself: what a tag cost is as before, by account too, with calls that come later, and fsck sees
    damage to what is left. Made again, sums are as they were.
    """
    await ledger.report(sparse(200, teams))
    await ledger.compaction.compact_all()
    owner, reader = ledger.database.owner, ledger.reader(await ledger.now())
    before = [await by_team(reader), await by_team(reader, "ACCOUNT")]

    assert set(EVERY_TABLE) - set(await look_at(owner, 1, EARLIER)) == await filled(ledger) == kept
    await ledger.report([Reported(EARLIER, account="account-0", tags={"team": "late"})])
    await Compaction(owner).compact_all()
    after = [await by_team(reader), await by_team(reader, "ACCOUNT")]

    assert sum(before[0].values()) == 200 and before[0][None,] == 1
    assert after == [before[0] | {("late",): 1}, before[1] | {("account-0", "late"): 1}]
    assert await filled(ledger) == kept
    assert await differences(ledger) == []
    for table in kept:
        await owner.execute(f"UPDATE {table} SET calls = calls + 1 WHERE tag_value = 'late'")
        assert await differences(ledger) == [table]
        await owner.execute(f"UPDATE {table} SET calls = calls - 1 WHERE tag_value = 'late'")

    await make_sums(owner, OF_DAY)
    await ledger.compaction.compact_all()
    assert [await by_team(reader), await by_team(reader, "ACCOUNT")] == after
    assert await filled(ledger) == set(EVERY_TABLE)
    assert await differences(ledger) == []


async def test_a_day_without_sums_by_tag_costs_its_own_calls(ledger: Ledger) -> None:
    """And no others: sums answer for all other days of a report."""
    await ledger.report([*sparse(200, 200), *sparse(300, 1, EARLIER + DAY)])
    await ledger.compaction.compact_all()
    owner, reader = ledger.database.owner, ledger.reader(await ledger.now())
    assert set(await look_at(owner, 1, EARLIER)) >= set(EVERY_TABLE)
    await owner.execute("DELETE FROM call WHERE started_at >= $1", EARLIER + DAY)

    within = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + 2 * DAY)))
    of_teams = And((within, TagMatch("team", ())))
    report = await read_costs(reader, CostRequest(of_teams, [], tags=["team"], first=10_000))

    assert sum(int(row.figures.sums["calls"]) for row in report.rows) == 199 + 299


async def test_a_reader_sees_the_same_sums_by_tag_while_days_lose_and_get_them(ledger: Ledger) -> None:
    """Beside writers and compaction: never a call too few or too many, with a tag or without. Also for those who take
    all sums to be there, as they were a moment ago.
    """
    batches, of_batch = 10, 40
    await ledger.report(sparse(of_batch, 5))
    reader, done, owner = ledger.reader(await ledger.now()), asyncio.Event(), ledger.database.owner

    async def write() -> None:
        for number in range(1, batches):
            await ledger.report(sparse(of_batch, 5, EARLIER + timedelta(minutes=number)))
        done.set()

    async def compact() -> None:
        while not done.is_set():
            await Compaction(owner, rows=9).compact()
            await asyncio.sleep(0)

    async def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            await leave_some(ledger, [table for place, table in enumerate(EVERY_SUM) if number * 37 >> place & 1])
            await make_sums(owner, OF_DAY, EVERY_SUM[number % 2 :: 2])

    async def read(request: CostRequest, reader: UsageReader) -> list[int]:
        seen = []
        while not done.is_set():
            report = await read_costs(reader, request)
            seen.append(sum(int(row.figures.sums["calls"]) for row in report.rows))
            assert seen[-1] == sum(row.figures.sums["amount"] for row in report.rows)
            assert seen[-1] // of_batch == sum(
                int(row.figures.sums["calls"]) for row in report.rows if not (row.key.tags or {})["team"]
            )
        return seen

    figures = {"row_figures": frozenset({"calls", "amount"}), "first": 10_000}
    requests = [
        CostRequest(WITHIN, [], tags=["team"], **figures),
        CostRequest(WITHIN, ["ACCOUNT"], tags=["team"], **figures),
        CostRequest(WITHIN, [], tags=["team"], bucket=TimeBucket.DAY, zone="Asia/Kolkata", **figures),
    ]
    readings = [read(request, known) for request in requests for known in (reader, replace(reader, unsummed={}))]
    _, _, _, *seen = await asyncio.gather(write(), compact(), change(), *readings)

    for counts in seen:
        assert counts == sorted(counts)
        assert {count % of_batch for count in counts} <= {0}
    await ledger.compaction.compact_all()
    assert await differences(ledger) == []


async def leave_some(ledger: Ledger, tables: Iterable[str]) -> None:
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await leave(connection, 1, EARLIER, list(tables))


async def test_sums_over_all_accounts_are_never_made_of_no_sums_by_account(ledger: Ledger) -> None:
    """Of a day whose sums by tag and account are left to calls: who would derive from these leaves what there is. And
    none are made where calls answer.
    """
    await ledger.report(sparse(200)[1:])
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    assert set(BY_ACCOUNT) <= set(await look_at(owner, 1, EARLIER))
    async with owner.acquire() as connection, connection.transaction():
        await derive_tags(connection, 1, EARLIER, ["team"])
    assert await owner.fetchval("SELECT sum(calls) FROM usage_tag_day_all") == 199

    await make_sums(owner, OF_DAY)
    await ledger.compaction.compact_all()
    await leave_some(ledger, ["usage_tag_day_all"])
    async with owner.acquire() as connection, connection.transaction():
        await derive_tags(connection, 1, EARLIER, ["team"])
    assert await owner.fetchval("SELECT count(*) FROM usage_tag_day_all") == 0
    assert await differences(ledger) == []


async def test_too_many_values_leave_no_sums_over_all_accounts_that_cannot_be_derived(ledger: Ledger) -> None:
    """Of a day without sums by half hour and account: the values of the account that has too many are in no table,
    where an erasure would not find them, and what others have is left to their calls.
    """
    await ledger.report(sparse(200))
    await ledger.compaction.compact_all()
    await leave_some(ledger, ["usage_tag_half_hour"])
    values = (f"many-{one}" for one in range(CROWDED_MIN + 1))
    await ledger.report([Reported(EARLIER, account="account-0", tags={"team": value}) for value in values])
    await ledger.compaction.compact_all()

    owner = ledger.database.owner
    assert await owner.fetchval("SELECT count(*) FROM usage_tag_crowded") == 1
    for table in EVERY_TABLE:
        assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE tag_value LIKE 'many-%'") == 0, table
    assert await filled(ledger) == {"usage_tag_day", "usage_tag_day_all"}
    assert await differences(ledger) == []
    of_others = And((WITHIN, Compare("account", "eq", "account-1")))
    report = await read_costs(ledger.reader(await ledger.now()), CostRequest(of_others, [], tags=["team"]))
    assert [int(row.figures.sums["calls"]) for row in report.rows] == [2]
