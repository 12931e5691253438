"""A list's total is the number of its calls, whoever counts: rollups, deltas, or the calls themselves."""

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import SeededLedger, open_seeded
from usage_ledger import Ledger, Reported

from policies.policy.model import Role
from service.query.model.catalog import CALLS
from service.query.model.predicate import EVERYTHING, And, Compare, Not, Or, Predicate
from service.query.records.page import PageRequest, PageSelection
from service.retention.rollups.compaction import Compaction

WINDOW = timedelta(days=400)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
TOTAL = PageSelection(rows=False, has_next=False, has_previous=False, total=True)
COUNT = "SELECT count(*) FROM call WHERE started_at >= $1 AND ({})"
# What is asked, said once more as SQL.
CONDITIONS: list[tuple[Predicate, str]] = [
    (EVERYTHING, "true"),
    (Compare("model", "eq", "claude"), "model = 'claude'"),
    (Compare("provider", "isNull", True), "provider IS NULL"),
    (Compare("provider", "ne", "openai"), "provider IS DISTINCT FROM 'openai'"),
    (Compare("apiKey", "in", ("prod", "nothing")), "api_key = 'prod'"),
    (Not(Compare("status", "eq", "FAILED")), "NOT failed"),
    (Compare("currency", "eq", "USD"), "currency = 'USD'"),
    (Compare("account", "eq", "acme"), "account_id = (SELECT id FROM account WHERE name = 'acme')"),
    (Compare("account", "ne", "acme"), "account_id <> (SELECT id FROM account WHERE name = 'acme')"),
    (Or((Compare("model", "eq", "claude"), Compare("status", "eq", "FAILED"))), "model = 'claude' OR failed"),
    (Compare("latencyMs", "gte", 7), "latency_ms >= 7"),
    (Compare("operation", "isNull", True), "operation IS NULL"),
]


def _call(draw: random.Random, now: datetime) -> Reported:
    edges = [now, now - DAY, now - WINDOW + timedelta(minutes=20), now - timedelta(days=30), now - WINDOW + DAY]
    moment = draw.choice(edges) - draw.choice([-1, 1]) * timedelta(milliseconds=draw.randrange(1, 10**8))
    return Reported(
        min(moment, now + timedelta(hours=20)),
        account=draw.choice(["acme", "beta"]),
        model=draw.choice(["gpt-4o", "claude"]),
        provider=draw.choice([None, "openai", "x"]),
        api_key=draw.choice([None, "prod"]),
        failed=draw.random() < 0.3,
        currency=draw.choice([None, "USD"]),
        latency_ms=draw.choice([None, 3, 9]),
    )


@pytest.fixture(scope="function")
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    """Calls from before the window to tomorrow, some compacted; none within two minutes of the cut-off."""
    async with open_seeded(database_url, tmp_path) as seeded:
        ledger = Ledger(
            seeded.database, seeded.accounts, seeded.policy, seeded.partitions, Compaction(seeded.database.owner)
        )
        now, draw = await seeded.now(), random.Random(17)
        calls = [
            call for call in (_call(draw, now) for _ in range(300)) if abs(now - WINDOW - call.started_at) > 2 * MINUTE
        ]
        await ledger.report(calls[:200])
        await ledger.compaction.compact_all()
        await ledger.report(calls[200:])
        yield seeded


async def _total(seeded: SeededLedger, predicate: Predicate, *accounts: int) -> int | None:
    page = await seeded.reader.page(seeded.scope(Role.VIEWER, *accounts), CALLS, PageRequest(predicate), TOTAL)
    return page.total


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    condition=st.sampled_from(CONDITIONS),
    days=st.sampled_from([None, 0, 1, 2, 29, 30, 31, 399, 400, 500]),
    noise=st.sampled_from([timedelta(0), timedelta(minutes=7), timedelta(microseconds=1)]),
    until=st.sampled_from([None, timedelta(hours=3), 2 * DAY + MINUTE]),
    narrowed=st.booleans(),
)
async def test_the_total_is_the_number_of_calls(
    seeded: SeededLedger,
    condition: tuple[Predicate, str],
    days: int | None,
    noise: timedelta,
    until: timedelta | None,
    narrowed: bool,
) -> None:
    """For any filter and range, cut anywhere, inside the window and across its end."""
    now = await seeded.now()
    predicate, sql = condition
    parts, values = [predicate], [now - WINDOW]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if days is not None:
        start = midnight - days * DAY + noise
        parts.append(Compare("startedAt", "gte", start))
        values = [max(start, now - WINDOW)]
    if until is not None:
        parts.append(Compare("startedAt", "lt", now - until))
        values.append(now - until)
        sql = f"started_at < $2 AND ({sql})"
    number = await seeded.accounts.find("acme")
    assert number is not None
    if narrowed:
        sql = f"account_id = {number} AND ({sql})"

    found = await _total(seeded, And(tuple(parts)), *([number] if narrowed else []))

    assert found == await seeded.database.owner.fetchval(COUNT.format(sql), *values)


async def test_whole_quarter_hours_are_not_counted_among_the_calls(seeded: SeededLedger) -> None:
    """Where nothing is cut, the calls are not read at all: the rollups say it even without them."""
    await Compaction(seeded.database.owner).compact_all()
    midnight = (await seeded.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    month = (
        Compare("startedAt", "gte", midnight - 30 * DAY + timedelta(minutes=15)),
        Compare("startedAt", "lt", midnight),
    )
    for predicate, _ in CONDITIONS[:10]:
        before = await _total(seeded, And((predicate, *month)))
        assert before
    totals = [await _total(seeded, And((predicate, *month))) for predicate, _ in CONDITIONS[:10]]
    await seeded.database.owner.execute("DELETE FROM call")
    assert [await _total(seeded, And((predicate, *month))) for predicate, _ in CONDITIONS[:10]] == totals
    assert await _total(seeded, And((CONDITIONS[10][0], *month))) == 0


async def test_what_a_hold_keeps_of_an_erased_account_is_counted(seeded: SeededLedger) -> None:
    """Its sums are gone and some of its calls are not: those are counted one by one, beside the sums of the others."""
    number = await seeded.accounts.find("acme")
    others = await _total(seeded, Compare("account", "eq", "beta"))
    owner = seeded.database.owner
    for table in ("usage_delta", "usage_quarter", "usage_day"):
        await owner.execute(f"DELETE FROM {table} WHERE account_id = $1", number)
    await owner.execute("DELETE FROM usage_quarter_all; DELETE FROM usage_hour_all; DELETE FROM usage_day_all")
    await owner.execute("UPDATE account SET name = 'erased:1' WHERE id = $1", number)
    await seeded.accounts.refresh()
    kept = await owner.fetchval(COUNT.format("account_id = $2"), await seeded.now() - WINDOW, number)

    assert await _total(seeded, Compare("account", "eq", "erased:1")) == kept
    assert await _total(seeded, Compare("account", "in", ("beta", "erased:1"))) == kept + others
