"""Days whose sums do not pay: calls answer instead, exactly and at every moment, and are summed before they go."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import asyncpg
import pytest
from cold_ledgers import BASE, COSTS, opened
from ingesting import call
from retaining import NOW, SHORT, RetainedLedger
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Store
from service.keyring import Keyring
from service.query.buckets.tier_days import TierDays
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.catalog import CALLS
from service.query.model.parameters import Params
from service.query.model.predicate import And, Compare
from service.query.reader import Reader
from service.query.records.account_list import count_calls
from service.query.usage.consistency import check_usage
from service.query.usage.facets import read_facets
from service.query.usage.report import CostSource, read_costs, reading_of, statement_of
from service.query.usage.report_request import CostRequest
from service.query.usage.source import UsageReader
from service.query.usage.total_count import count_rows
from service.retention.audit.fsck import check_ledger
from service.retention.locks import ERASURE, PURGE
from service.retention.rollups.compaction import LOCK, Compaction
from service.retention.rollups.rebuild import days_to_rebuild, rebuild_derived_sums, rebuild_sums
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_sums import BY_ACCOUNT as BY_ACCOUNT_AND_TAG
from service.retention.rollups.tag_sums import derive_tags
from service.retention.rollups.totals_check import check_derived_sums
from service.retention.rollups.unsummed import (
    OUTLIVING,
    TABLES,
    leave,
    leave_derived,
    leave_unsummed,
    look_at,
    make_every_sum,
    make_sums,
)
from service.retention.rollups.unsummed_check import check_unsummed
from service.storage.citus.distribution import refuse_unsummed
from service.storage.cold.catalogue import ColdFile, add_file, overlapping, remove_file
from service.storage.connection import advisory_lock
from service.storage.errors import DatabaseError
from service.storage.statements.unsummed import UnsummedDays

pytestmark = pytest.mark.plain("leaves days without sums to their calls")

DAY, AT_ONCE = timedelta(days=1), timedelta(0)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
EARLIER = TODAY - 9 * DAY
OF_DAY = TierDays(1, EARLIER, EARLIER + DAY)
ROLLUPS = {"usage_quarter", "usage_day"}
BY_ACCOUNT = {*ROLLUPS, "usage_half_hour"}


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url) as ledger:
        yield ledger


@pytest.fixture
async def either(any_database_url: str) -> AsyncIterator[Ledger]:
    """The same on each version of PostgreSQL."""
    async with open_ledger(any_database_url) as ledger:
        yield ledger


def sparse(number: int, moment: datetime = EARLIER, models: int = 10_000) -> list[Reported]:
    """Calls of as many accounts, hours and models."""
    return [
        Reported(
            moment + timedelta(minutes=one * 7 % 1440),
            account=f"account-{one % 50}",
            model=f"model-{one % models}",
            amount=Decimal(1),
            currency="USD",
            amount_source=1,
            latency_ms=one,
        )
        for one in range(number)
    ]


def dense(number: int) -> list[Reported]:
    """As many calls of few keys, in one hour."""
    return [Reported(EARLIER, amount=Decimal(1), currency="USD", amount_source=1) for _ in range(number)]


async def filled(ledger: Ledger) -> list[str]:
    """The tables that have rows of the day."""
    return [table for table in TABLES if await ledger.database.owner.fetchval(f"SELECT count(*) FROM {table}")]


async def differences(ledger: Ledger) -> list[object]:
    owner, policy = ledger.database.owner, ledger.policy
    checks = (check_usage(owner, policy), check_derived_sums(owner, policy), check_unsummed(owner, policy))
    return [found for check in checks async for found in check]


@pytest.mark.parametrize(
    ("calls", "kept"),
    [
        (sparse(200), set[str]()),
        (sparse(200, models=1), {"usage_hour_all", "usage_day_all", "usage_day"}),
        (dense(200), set(TABLES)),
        (sparse(50), set(TABLES)),
    ],
    ids=["sparse", "sparse, of one model", "dense", "few"],
)
async def test_sums_are_kept_where_they_are_fewer_than_calls(
    ledger: Ledger, calls: list[Reported], kept: set[str]
) -> None:
    """Each table by itself; what it loses is not made again by later compactions, and fsck finds nothing wrong."""
    await ledger.report(calls)
    await ledger.compaction.compact_all()

    lost = await look_at(ledger.database.owner, 1, EARLIER)
    assert set(await filled(ledger)) == set(TABLES) - set(lost) == kept

    await ledger.report(sparse(3))
    await ledger.compaction.compact_all()
    assert set(await filled(ledger)) == kept
    assert await differences(ledger) == []


async def test_what_is_left_to_calls_is_made_again_as_it_was(either: Ledger) -> None:
    """With calls that came meanwhile, compacted and not: all sums of the day, and fsck finds nothing wrong."""
    await either.report(sparse(150))
    await either.compaction.compact_all()
    await look_at(either.database.owner, 1, EARLIER)
    await either.report(sparse(20, EARLIER + timedelta(hours=1)))
    await Compaction(either.database.owner, rows=7).compact()

    assert await make_sums(either.database.owner, OF_DAY, OUTLIVING) == 1
    assert await differences(either) == []
    assert await make_sums(either.database.owner, OF_DAY) == 1
    assert await make_sums(either.database.owner, OF_DAY) == 0
    await either.compaction.compact_all()

    assert await differences(either) == []
    for table in TABLES:
        assert await either.database.owner.fetchval(f"SELECT sum(calls) FROM {table}") == 170


async def test_sums_that_a_day_should_not_have_are_made_anew(ledger: Ledger) -> None:
    """What somebody added to tables that calls answer for, as an older service would: fsck finds it, and what is made
    before calls go is right.
    """
    await ledger.report(sparse(150))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    lost = await look_at(owner, 1, EARLIER)
    await owner.execute("UPDATE usage_unsummed SET sums = '{}'")
    await ledger.report(sparse(20))
    await ledger.compaction.compact_all()
    await owner.execute("UPDATE usage_unsummed SET sums = $1", lost)
    assert await differences(ledger) != []

    assert await make_sums(owner, OF_DAY) == 1
    assert await differences(ledger) == []
    assert await owner.fetchval("SELECT sum(calls) FROM usage_day") == 170


@pytest.mark.parametrize("table", ["usage_quarter_all", "usage_hour_all", "usage_day_all"])
@pytest.mark.parametrize("damage", ["UPDATE {} SET calls = calls + 1", "DELETE FROM {}"])
async def test_damage_to_sums_without_their_rollup_is_found(ledger: Ledger, table: str, damage: str) -> None:
    """Sums over all accounts of a day whose rollups are left to its calls."""
    await ledger.report(sparse(200, models=1))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    async with owner.acquire() as connection, connection.transaction():
        await leave(connection, 1, EARLIER, sorted(BY_ACCOUNT))
    assert await differences(ledger) == []

    await owner.execute(f"{damage.format(table)} WHERE bucket_at = (SELECT min(bucket_at) FROM {table})")

    assert [(found.table, found.keys) for found in await differences(ledger)] == [(table, 1)]


async def test_a_reader_sees_the_same_sums_while_days_lose_and_get_them(either: Ledger) -> None:
    """Beside writers and compaction, whatever costs are grouped by: never a call too few or too many. Also for those
    who take all sums to be there, as they were a moment ago.
    """
    batches, of_batch = 12, 40
    await either.report(sparse(of_batch))
    reader, done = either.reader(await either.now()), asyncio.Event()
    mistaken, owner = replace(reader, unsummed={}), either.database.owner

    async def write() -> None:
        for number in range(1, batches):
            await either.report(sparse(of_batch, EARLIER + timedelta(minutes=number)))
        done.set()

    async def compact() -> None:
        while not done.is_set():
            await Compaction(owner, rows=9).compact()
            await asyncio.sleep(0)

    async def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            async with owner.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                await leave(
                    connection, 1, EARLIER, [table for place, table in enumerate(TABLES) if number >> place & 1]
                )
            await make_sums(owner, OF_DAY, TABLES[number % 2 :: 2])

    async def read(request: CostRequest, reader: UsageReader = reader) -> list[int]:
        seen = []
        while not done.is_set():
            report = await read_costs(reader, request)
            seen.append(sum(row.figures.sums["calls"] for row in report.rows))
            assert seen[-1] == sum(row.figures.sums["amount"] for row in report.rows)
        return seen

    within = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + 2 * DAY)))
    figures = {"row_figures": frozenset({"calls", "amount"}), "first": 10_000}
    requests = [
        CostRequest(within, ["MODEL"], **figures),
        CostRequest(within, ["ACCOUNT"], bucket=TimeBucket.DAY, zone="Asia/Kathmandu", **figures),
        CostRequest(within, ["API_KEY"], bucket=TimeBucket.DAY, zone="Asia/Kolkata", **figures),
        CostRequest(within, ["PROVIDER"], bucket=TimeBucket.DAY, zone="Asia/Kathmandu", **figures),
        CostRequest(within, ["STATUS", "MODEL"], bucket=TimeBucket.QUARTER_HOUR, **figures),
    ]
    readings = [*map(read, requests), *(read(request, mistaken) for request in requests[:3])]
    _, _, _, *seen = await asyncio.gather(write(), compact(), change(), *readings)

    for counts in seen:
        assert counts == sorted(counts)
        assert {count % of_batch for count in counts} == {0}
    await either.compaction.compact_all()
    assert await differences(either) == []


async def test_what_was_there_a_moment_ago_is_not_relied_on(ledger: Ledger) -> None:
    """Who takes all sums to be there is told by the statement itself that a day has none, and asks for its calls."""
    await ledger.report(sparse(200))
    await ledger.compaction.compact_all()
    await look_at(ledger.database.owner, 1, EARLIER)
    within = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + 2 * DAY)))
    reader = replace(ledger.reader(await ledger.now()), unsummed={})
    lists = Reader(ledger.database, ledger.accounts, cast("Keyring", None), reader.cursors)
    listed = (await lists.prepare(reader.scope, CALLS, within))._replace(unsummed={})

    report = await read_costs(reader, CostRequest(within, ["MODEL"], first=500, row_figures=frozenset({"calls"})))
    facets = await read_facets(reader, within, ["models", "statuses"], 200)
    async with lists.connection(reader.scope) as connection:
        total = await count_rows(connection, listed)

    counts = [sum(row.figures.sums["calls"] for row in report.rows), total]
    assert counts + [sum(one.count for one in found) for found in facets.values()] == [200] * 4


async def test_calls_are_not_planned_where_sums_have_their_days(ledger: Ledger) -> None:
    """Of the tables that had all of a report's days a moment ago. What lacks others, or is not known, is asked for."""
    within = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + 3 * DAY)))
    request = CostRequest(within, ["MODEL"], row_figures=frozenset({"calls", "latencyMs"}))
    await ledger.report(dense(1))
    reader = ledger.reader(await ledger.now())
    known: dict[str, UnsummedDays | None] = {
        "nothing is unsummed": {},
        "other tables": {"usage_day": (EARLIER, EARLIER + DAY)},
        "earlier": {"usage_day_all": (EARLIER - 9 * DAY, EARLIER - DAY)},
        "later": {"usage_day_all": (EARLIER + 3 * DAY, EARLIER + 4 * DAY)},
        "of this time": {"usage_day_all": (EARLIER - DAY, EARLIER)},
        "around it": {"usage_day_all": (EARLIER - DAY, EARLIER + 9 * DAY)},
        "not known": None,
    }
    planned = dict[str, bool]()
    for name, lacking in known.items():
        params, reading = Params(), replace(await reading_of(reader, request), lacking=lacking)
        sql = statement_of(reader, request, reading, params, 10).sql(reading, params)
        async with ledger.database.reading(None) as connection:
            plan = await connection.fetch(f"EXPLAIN {sql}", *params.values)
        planned[name] = any(" on call_t1_" in line for (line,) in plan)
    assert planned == dict(zip(known, [False] * 4 + [True] * 3, strict=True))


async def test_sums_by_tag_and_account_go_and_those_over_all_accounts_stay(either: Ledger) -> None:
    """Where each account's calls have a row of their own: what a tag cost is as before, by account too, and fsck sees
    damage to what is left. Made again, sums by account are as they were.
    """
    await either.sum_tags("team")
    await either.report(replace(one, tags={"team": "ads"} if one.latency_ms else {}) for one in sparse(200))
    await either.compaction.compact_all()
    owner, reader = either.database.owner, either.reader(await either.now())

    async def by_team(*dimensions: str) -> dict[tuple[str | None, ...], int]:
        within = And((Compare("startedAt", "gte", EARLIER), Compare("startedAt", "lt", EARLIER + DAY)))
        report = await read_costs(reader, CostRequest(within, dimensions, tags=["team"], first=10_000))
        assert report.coverage.source is (CostSource.CALLS if dimensions and unsummed else CostSource.ROLLUPS)
        found = Counter[tuple[str | None, ...]]()
        for row in report.rows:
            found[*row.key.values.values(), (row.key.tags or {})["team"]] += int(row.figures.sums["calls"])
        return found

    unsummed = False
    before = [await by_team(), await by_team("ACCOUNT")]
    assert set(BY_ACCOUNT_AND_TAG) <= set(await look_at(owner, 1, EARLIER))
    unsummed = True
    await either.report([Reported(EARLIER, account="account-0", tags={"team": "late"})])
    await Compaction(owner).compact_all()
    after = [await by_team(), await by_team("ACCOUNT")]

    assert before[0] == {("ads",): 199, (None,): 1}
    assert after == [before[0] | {("late",): 1}, before[1] | {("account-0", "late"): 1}]
    assert [await owner.fetchval(f"SELECT count(*) FROM {table}") for table in BY_ACCOUNT_AND_TAG] == [0, 0]
    assert await tag_differences(either) == []
    await owner.execute("UPDATE usage_tag_day_all SET calls = calls + 1 WHERE tag_value = 'late'")
    assert await tag_differences(either) == ["usage_tag_day_all"]
    await owner.execute("UPDATE usage_tag_day_all SET calls = calls - 1 WHERE tag_value = 'late'")

    await make_sums(owner, OF_DAY)
    await either.compaction.compact_all()
    unsummed = False
    assert [await by_team(), await by_team("ACCOUNT")] == after
    assert await tag_differences(either) == [] == await differences(either)


async def tag_differences(ledger: Ledger) -> list[str]:
    owner, policy = ledger.database.owner, ledger.policy
    checks = (check_tags(owner, policy), check_tags_of_all(owner, policy))
    return [found.table for check in checks async for found in check]


async def test_maintenance_looks_at_days_that_are_over(retained: RetainedLedger) -> None:
    """From a day after the migration on, and once each: not at today, nor at days that are soon past their window.
    Accounts count their calls all the same.
    """
    days = [0, 5, SHORT.tiers["standard"].store_days[Store.CALL] - 3]
    for age in days:
        rows = [
            call(f"{age}-{n}", started_at=(NOW - timedelta(days=age)).isoformat(), account="acme", model=f"m{n}")
            for n in range(120)
        ]
        await retained.report(*rows)
    await retained.compact()
    assert [await leave_unsummed(retained.retention, settled=settled) for settled in (DAY, AT_ONCE, AT_ONCE)] == [
        0,
        1,
        0,
    ]

    [(day, sums)] = await retained.ingest.fetch("SELECT of_day, sums FROM usage_unsummed WHERE sums <> '{}'")
    assert day == (NOW - timedelta(days=5)).replace(hour=0, minute=0, second=0)
    assert set(sums) == set(TABLES) - {"usage_half_hour"}
    account = await retained.value("SELECT id FROM account")
    async with retained.retention.database.reading((account,)) as connection:
        assert await count_calls(connection, [account]) == {account: 360}
    found = {one.check: one.ok async for one in check_ledger(retained.retention)}
    assert found["usage"] and found["row security"]


async def test_sums_that_outlive_calls_are_made_before_calls_go(retained: RetainedLedger) -> None:
    """A purge of a day without sums: the ledger's count is that of the calls, and costs by day stay."""
    moment = NOW - timedelta(days=500)
    await retained.report(*(call(f"{n}", started_at=moment.isoformat(), model=f"m{n}") for n in range(120)))
    await retained.compact()
    day = moment.replace(hour=0, minute=0, second=0)
    assert {"usage_day", "usage_day_all"} < set(await look_at(retained.retention.owner, 1, day))

    await retained.purge()

    tables = ("call", *TABLES, "usage_unsummed")
    counts = {table: await retained.value(f"SELECT count(*) FROM {table}") for table in tables}
    assert {table for table, count in counts.items() if count} == {"usage_day", "usage_day_all"} < set(OUTLIVING)
    for table in ("usage_day", "usage_day_all"):
        assert await retained.value(f"SELECT sum(calls) FROM {table}") == 120
    assert await retained.value("SELECT rows_dropped FROM purge_run") >= 120


async def test_a_day_that_loses_calls_in_several_batches_is_looked_at_again(ledger: Ledger) -> None:
    """However many batches an account's calls are: its derived sums are made again."""
    await ledger.report(sparse(150, models=1))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    async with owner.acquire() as connection, connection.transaction():
        await leave(connection, 1, EARLIER, sorted(ROLLUPS))
    account = await owner.fetchval("SELECT min(account_id) FROM call")
    for _ in range(2):
        async with owner.acquire() as connection, connection.transaction():
            await leave_derived(connection, OF_DAY, account)
    assert await owner.fetchval("SELECT again FROM usage_unsummed")


async def test_no_day_loses_its_sums_while_its_calls_go(ledger: Ledger) -> None:
    """While a purge, an erasure or a move to files is under way, which have made them, and where calls are in a file or
    will be.
    """
    await ledger.report(sparse(200))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    for lock in (PURGE, ERASURE):
        async with advisory_lock(owner, lock):
            assert await look_at(owner, 1, EARLIER) == ()
    async with owner.acquire() as connection:
        file = await add_file(connection, ColdFile(0, *OF_DAY, "call_x", "x", 200, 1, "00" * 32, False), "")
        assert await look_at(owner, 1, EARLIER) == ()
        assert set(await filled(ledger)) == set(TABLES)
        await remove_file(connection, file)
    assert await look_at(owner, 1, EARLIER) != ()


async def test_no_day_loses_its_sums_beside_an_older_service(retained: RetainedLedger) -> None:
    """One that answers still during an upgrade would not read the calls in their stead."""
    moment = (NOW - timedelta(days=5)).isoformat()
    await retained.report(*(call(f"{n}", started_at=moment, model=f"m{n}") for n in range(120)))
    await retained.compact()
    older = await asyncpg.connect(retained.ingest.url, server_settings={"application_name": "calledger maintenance"})
    assert await leave_unsummed(retained.retention, settled=AT_ONCE) == 0
    await older.close()


async def test_sums_over_all_accounts_are_never_made_of_no_sums_by_account(ledger: Ledger) -> None:
    """Of a day whose sums by tag and account are left to calls: who would derive from these leaves what there is."""
    await ledger.sum_tags("team")
    await ledger.report(replace(one, tags={"team": "ads"}) for one in sparse(200))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    assert set(BY_ACCOUNT_AND_TAG) <= set(await look_at(owner, 1, EARLIER))
    async with owner.acquire() as connection, connection.transaction():
        await derive_tags(connection, 1, EARLIER, ["team"])
    assert await owner.fetchval("SELECT sum(calls) FROM usage_tag_day_all") == 200
    assert await tag_differences(ledger) == []


async def test_sums_of_calls_in_files_are_not_made_of_no_calls(database_url: str, tmp_path: Path) -> None:
    """Derived sums that are wrong there are derived again from the rollup; the rest of the day's sums stay."""
    async with opened(database_url, tmp_path) as ledger:
        context = ledger.retention
        await ledger.kept.compact()
        await ledger.freeze()
        before, day = await ledger.data(COSTS), BASE.replace(hour=0, minute=0) + DAY
        (file,) = overlapping(await ledger.files(), 1, day, day + DAY)
        await context.owner.execute("UPDATE usage_day_all SET calls = calls + 1 WHERE bucket_at = $1", day)
        assert file.frozen and await ledger.data(COSTS) != before

        assert await days_to_rebuild(context) == []
        assert [one async for one in rebuild_sums(context, [(1, day)], actor="cli")] == []
        await rebuild_derived_sums(context)
        assert await ledger.data(COSTS) == before


async def test_calls_move_to_files_with_all_of_their_sums(database_url: str, tmp_path: Path) -> None:
    """Costs of days without sums are as before when their calls lie in files, which are not read for sums."""
    async with opened(database_url, tmp_path) as ledger:
        owner = ledger.retention.owner
        await ledger.kept.compact()
        days = await owner.fetch("SELECT DISTINCT tier, date_trunc('day', started_at, 'UTC') FROM call")
        before = await ledger.data(COSTS)
        async with owner.acquire() as connection, connection.transaction():
            for tier, day in days:
                await leave(connection, tier, day, TABLES)
        assert await ledger.data(COSTS) == before

        await ledger.freeze()

        assert await ledger.files()
        assert await ledger.data(COSTS) == before
        for file in await ledger.files():
            span = TierDays(file.tier, file.start, file.end)
            assert await make_sums(owner, span) == 0, "a day of a file's time is without sums"


async def test_a_ledger_comes_to_citus_with_all_sums(ledger: Ledger) -> None:
    """It is refused there until every day has them."""
    await ledger.report(sparse(150))
    await ledger.compaction.compact_all()
    owner = ledger.database.owner
    await refuse_unsummed(owner)
    await look_at(owner, 1, EARLIER)
    with pytest.raises(DatabaseError, match="1 days have fewer sums than Citus wants"):
        await refuse_unsummed(owner)
    assert await make_every_sum(owner) == 1
    await refuse_unsummed(owner)
