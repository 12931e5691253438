"""Sums over all accounts and by API key: in step with the rollups, read where they answer, closed to the others."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module

import asyncpg
import pytest
from retaining import NOW, OLD, YOUNG, RetainedLedger, failed
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Store
from service.query.buckets.bucket_edges import EdgeRun, Edges
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.parameters import Params
from service.query.model.predicate import EVERYTHING, And, Compare, Predicate
from service.query.usage.facets import read_facets
from service.query.usage.plan import UsageSegment
from service.query.usage.report import read_costs
from service.query.usage.report_request import CostRequest
from service.query.usage.report_sql import CURRENCY
from service.query.usage.rollup_tables import BY_KEY, CUT_MAX, OVER_ALL_ACCOUNTS, OVERALL, Tables, ranges
from service.query.usage.union_sql import UsageUnion
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.totals_check import DerivedDifference, check_derived_sums

TABLES = sorted([*OVER_ALL_ACCOUNTS, BY_KEY.several])
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def _between(start: datetime, end: datetime) -> tuple[Compare, Compare]:
    return Compare("startedAt", "gte", start), Compare("startedAt", "lt", end)


MONTH = And(_between(MIDNIGHT - timedelta(days=30), MIDNIGHT))


@pytest.fixture
async def ledger(any_database_url: str) -> AsyncIterator[Ledger]:
    """Calls of several days and two accounts, some of them compacted."""
    async with open_ledger(any_database_url) as opened:
        await opened.report(
            Reported(
                MIDNIGHT - timedelta(hours=hours),
                account="acme" if hours % 2 else "beta",
                failed=hours % 3 == 0,
                amount=Decimal(hours),
                currency="USD",
                amount_source=3,
                latency_ms=None if hours == 50 else 100 + hours,
            )
            for hours in range(0, 100, 5)
        )
        await Compaction(opened.database.owner, rows=12).compact()
        yield opened


async def check(ledger: Ledger) -> list[DerivedDifference]:
    return [found async for found in check_derived_sums(ledger.database.owner, ledger.policy)]


async def test_what_is_folded_is_in_them(ledger: Ledger) -> None:
    """In step with the rollups after any compaction."""
    assert await check(ledger) == []
    await ledger.compaction.compact_all()
    assert await check(ledger) == []
    for table in TABLES:
        row = await ledger.database.owner.fetchrow(
            f"SELECT sum(calls), sum(errors), sum(amount), sum(estimated), sum(wasted) FROM {table}"
        )
        assert tuple(row) == (20, 7, 950, 950, 315)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE {} SET calls = calls + 1 WHERE {}",
        "UPDATE {} SET wasted = wasted - 0.000000000001 WHERE {}",
        "UPDATE {} SET tier = 1, currency = 'EUR' WHERE {}",
        "DELETE FROM {} WHERE {}",
    ],
)
async def test_any_damage_is_found(ledger: Ledger, table: str, damage: str) -> None:
    """A count, money, a key or a whole row: the table and the day are named."""
    day = await ledger.database.owner.fetchval(f"SELECT date_trunc('day', min(bucket_at), 'UTC') FROM {table}")
    first = f"ctid = (SELECT ctid FROM {table} ORDER BY bucket_at LIMIT 1)"
    await ledger.database.owner.execute(damage.format(table, first))

    [found] = await check(ledger)

    assert (found.table, found.day, found.tier) == (table, day, 1)


@pytest.mark.parametrize("table", sorted(OVER_ALL_ACCOUNTS))
async def test_damage_to_latency_is_found(ledger: Ledger, table: str) -> None:
    """One call in another bucket of one histogram."""
    await ledger.database.owner.execute(
        f"UPDATE {table} SET latency = latency + calledger_latency_sketch(9::smallint, 1) "
        f"- calledger_latency_sketch(8::smallint, 1) WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)"
    )
    [found] = await check(ledger)
    assert (found.table, found.keys) == (table, 1)


async def test_the_migration_fills_them(ledger: Ledger) -> None:
    """A ledger that was there before has the same sums as one that was compacted into them."""
    await ledger.database.owner.execute(f"TRUNCATE {', '.join(TABLES)}")
    for name in ("0007_costs", "0010_half_hours"):
        assert await check(ledger) != []
        await ledger.database.owner.execute(import_module(f"migrations.{name}").FILL)
    assert await check(ledger) == []


@pytest.mark.parametrize("bucket", [None, TimeBucket.DAY])
async def test_costs_of_everything_read_nothing_else(ledger: Ledger, bucket: TimeBucket | None) -> None:
    """By model, of all accounts: of stored sums only those over all accounts are read, and they are right."""
    reader = ledger.reader(MIDNIGHT)
    request = CostRequest(
        MONTH, ["MODEL"], bucket=bucket, zone="Asia/Kolkata", row_figures=frozenset({"calls", "latencyMs"})
    )
    reading = await reader.reading(MONTH, bucket=bucket, zone="Asia/Kolkata")
    await ledger.compaction.compact_all()
    await ledger.database.owner.execute("UPDATE usage_day SET calls = 1000000, latency_counts = '{9}'")
    await ledger.database.owner.execute("UPDATE usage_quarter SET calls = 1000000, latency_counts = '{9}'")

    report = await read_costs(reader, request)

    assert reading.overall
    assert sum(row.figures.sums["calls"] for row in report.rows) == 19
    assert sum(sum(row.figures.histograms["latency"][1]) for row in report.rows) == 18


def _of_acme(expected: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {key: 9 for key in expected if key != ("beta",)}


@pytest.mark.parametrize(
    ("dimensions", "condition", "expected"),
    [
        (["ACCOUNT"], EVERYTHING, {("acme",): 9, ("beta",): 9}),
        (["API_KEY"], EVERYTHING, {("prod",): 18}),
        (["ACCOUNT", "API_KEY"], Compare("account", "eq", "acme"), {("acme", "prod"): 9}),
        ([], Compare("apiKey", "ne", "dev"), {(): 18}),
    ],
)
@pytest.mark.parametrize("narrowed", [False, True])
async def test_local_days_by_key_read_half_hours(
    ledger: Ledger, dimensions: list[str], condition: Predicate, expected: dict[tuple[str, ...], int], narrowed: bool
) -> None:
    """By account and API key, or filtered by them, no quarter hour is read for days that begin at half an hour; who is
    bound to accounts reads them too, and no others' rows.
    """
    await ledger.compaction.compact_all()
    await ledger.database.owner.execute("UPDATE usage_quarter SET calls = 1000000")
    number = await ledger.accounts.find("acme")
    half_past = MIDNIGHT - timedelta(hours=5, minutes=30)
    local = And((condition, *_between(half_past - timedelta(days=30), half_past)))
    request = CostRequest(
        local,
        dimensions,
        bucket=TimeBucket.DAY,
        zone="Asia/Kolkata",
        row_figures=frozenset({"calls", "wastedOnFailures"}),
    )
    report = await read_costs(ledger.reader(MIDNIGHT, (number,) if narrowed else None), request)

    found: Counter[tuple[str | None, ...]] = Counter()
    for row in report.rows:
        found[tuple(row.key.values.values())] += int(row.figures.sums["calls"])
    assert found == (_of_acme(expected) if narrowed else expected)


async def test_facets_that_they_have_are_read_from_them(ledger: Ledger) -> None:
    """Models, providers and currencies; with accounts or statuses among them the rollups answer."""
    await ledger.compaction.compact_all()
    await ledger.database.owner.execute("UPDATE usage_day SET calls = 1000")
    found = await read_facets(ledger.reader(MIDNIGHT), MONTH, ["models", "providers", "currencies"])
    assert [value.count for values in found.values() for value in values] == [19, 19, 19]
    found = await read_facets(ledger.reader(MIDNIGHT), MONTH, ["models", "statuses"])
    assert found["models"][0].count >= 1000


@pytest.mark.parametrize(
    ("condition", "overall"),
    [
        (Compare("model", "eq", "gpt-4o"), True),
        (Compare("provider", "isNull", True), True),
        (Compare("apiKey", "eq", "prod"), False),
        (Compare("status", "eq", "FAILED"), False),
        (Compare("account", "eq", "acme"), False),
    ],
)
async def test_a_filter_that_they_cannot_answer_is_not_asked_of_them(
    ledger: Ledger, condition: Compare, overall: bool
) -> None:
    """By API key, status or account the rollups answer."""
    reading = await ledger.reader(MIDNIGHT).reading(And((MONTH, condition)))
    assert reading.overall is overall


async def test_who_is_bound_to_accounts_reads_none_of_them(ledger: Ledger) -> None:
    """Not by the plan, even for one who is bound to every account there is; nor by privilege."""
    numbers = tuple((await ledger.accounts.ensure(["acme", "beta"])).values())
    reading = await ledger.reader(MIDNIGHT, numbers).reading(MONTH)
    assert not reading.overall
    assert "_all" not in UsageUnion(reading, {"currency": CURRENCY}, Params()).histograms("latency")
    async with ledger.database.reading(numbers) as connection:
        for table in OVER_ALL_ACCOUNTS:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT FROM {table}")


async def test_who_is_bound_to_an_account_sees_its_half_hours_alone(ledger: Ledger) -> None:
    """Row-level security keeps to the scope where a statement forgets to."""
    await ledger.compaction.compact_all()
    number = await ledger.accounts.find("acme")
    async with ledger.database.reading((number,)) as connection:
        rows = await connection.fetch("SELECT account_id, sum(calls)::int AS calls FROM usage_half_hour GROUP BY 1")
    assert [tuple(row) for row in rows] == [(number, 10)]


async def test_nobody_who_serves_changes_them(ledger: Ledger) -> None:
    """They follow from the rollups: only the owner writes."""
    for table in TABLES:
        for statement in (f"UPDATE {table} SET calls = 0", f"DELETE FROM {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await ledger.database.writer.execute(statement)


@pytest.mark.parametrize("compacted", [True, False])
async def test_an_erased_account_is_taken_out(retained: RetainedLedger, compacted: bool) -> None:
    """What is left is the others', without rows of nothing; and fsck finds it right."""
    await retained.report(
        failed("a", YOUNG, model="m1", amount="1.5", currency="USD", latency_ms=40),
        failed("b", YOUNG, model="m1", account="other", amount="0.25", currency="USD", latency_ms=9),
        failed("c", YOUNG, model="m2"),
    )
    if compacted:
        await retained.compact()
    await request_erasure(
        retained.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="asked by letter", actor="cli"
    )
    for table in TABLES:
        rows = await retained.ingest.fetch(f"SELECT calls, errors, amount, wasted FROM {table}")
        assert [tuple(row) for row in rows] == ([(1, 1, Decimal("0.25"), Decimal("0.25"))] if compacted else [])
    assert await retained.findings() == {}


async def test_a_purge_takes_them_along(retained: RetainedLedger) -> None:
    """With the partition of a rollup go the sums over its time, and no others."""
    await retained.report(failed("a", OLD), failed("b", NOW - timedelta(hours=2)))
    await retained.compact()
    assert await retained.value("SELECT count(*) FROM usage_hour_all") == 2

    await retained.purge()

    left = {table: await retained.value(f"SELECT count(*) FROM {table}") for table in TABLES}
    assert left == {"usage_quarter_all": 1, "usage_hour_all": 1, "usage_half_hour": 1, "usage_day_all": 2}
    assert await retained.findings() == {}


HALF = HOUR / 2


@pytest.mark.parametrize(
    ("tables", "edges", "read"),
    [
        (OVERALL, [], ["usage_hour_all"]),
        (OVERALL, [MIDNIGHT + HOUR], ["usage_hour_all"]),
        (OVERALL, [MIDNIGHT + HOUR + HALF], ["usage_quarter_all", "usage_hour_all"]),
        (OVERALL, [MIDNIGHT + place * HOUR + QUARTER for place in range(CUT_MAX + 1)], ["usage_quarter_all"]),
        (BY_KEY, [], ["usage_half_hour"]),
        (BY_KEY, [MIDNIGHT + HOUR + HALF], ["usage_half_hour"]),
        (BY_KEY, [MIDNIGHT + HOUR + QUARTER], ["usage_quarter", "usage_half_hour"]),
        (BY_KEY, [MIDNIGHT + place * HOUR + QUARTER for place in range(CUT_MAX + 1)], ["usage_quarter"]),
    ],
)
def test_what_no_edge_cuts_is_read_whole(tables: Tables, edges: list[datetime], read: list[str]) -> None:
    """Quarter hours are read only where an edge wants them, or everywhere when too many do."""
    piece = UsageSegment(Store.USAGE_QUARTER, MIDNIGHT, MIDNIGHT + 500 * HOUR)
    cuts = Edges(EdgeRun(edge, HOUR, 1) for edge in edges)
    assert [table for table, _ in ranges(tables, piece, piece.start, cuts, Params())] == read
