"""Costs and facets as the schema answers them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from rows import SeededLedger, open_seeded
from usage_ledger import Ledger, Reported
from watching import watched

from policies.policy.model import Role, View
from service.retention.rollups.compaction import Compaction

HELD_CPU_S = 0.2
"""Far above a turn, far below what all of ten thousand rows takes: CI has neighbours."""


@pytest.fixture
async def seeded(any_database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        yield seeded


async def filled(seeded: SeededLedger) -> Ledger:
    """Two priced calls of one model yesterday, one of them failed, and one without an amount."""
    ledger = Ledger(
        seeded.database, seeded.accounts, seeded.policy, seeded.partitions, Compaction(seeded.database.owner)
    )
    yesterday = (await seeded.now()) - timedelta(days=1)
    priced = Reported(
        yesterday,
        amount=Decimal("0.000000000100"),
        currency="USD",
        amount_source=3,
        input_tokens=3_000_000_000 // 2,
        output_tokens=3,
        latency_ms=100,
        tags={"team": "search"},
    )
    await ledger.report(
        [
            priced,
            replace(priced, failed=True, amount=Decimal("0.9"), amount_source=2, error_type="Timeout", number=-1),
            Reported(yesterday, model="claude", provider=None, api_key=None, number=-2),
        ]
    )
    return ledger


FIGURES = """calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens
    amount { amount currency } tokenEfficiency averageCost costPerThousandOutputTokens
    latencyMs { p50 p95 p99 } wastedOnFailures estimatedShare callsWithoutAmount"""


async def test_every_figure_is_worked_out(seeded: SeededLedger) -> None:
    """Sums are strings, money is exact and without needless zeros, quotients have twelve places, no data is null."""
    await filled(seeded)

    data = await seeded.data(
        f"""{{ costs(groupBy: [MODEL, PROVIDER]) {{
            rows {{ key {{ model provider account status currency tags {{ key value }} bucketStart }} ...F }}
            totals {{ ...F }}
            coverage {{ source to }} truncated }} }}
        fragment F on CostFigure {{ {FIGURES} }}"""
    )

    assert data["costs"]["coverage"]["source"] == "ROLLUPS"
    assert data["costs"]["truncated"] is False
    usd, unpriced = data["costs"]["rows"]
    nothing = {"account": None, "status": None, "tags": None, "bucketStart": None}
    assert usd.pop("key") == {"model": "gpt-4o", "provider": "openai", "currency": "USD", **nothing}
    assert unpriced.pop("key") == {"model": "claude", "provider": None, "currency": None, **nothing}
    assert [usd, unpriced] == data["costs"]["totals"]
    assert usd == {
        "calls": "2",
        "errors": "1",
        "inputTokens": "3000000000",
        "outputTokens": "6",
        "cacheReadTokens": "0",
        "cacheWriteTokens": "0",
        "reasoningTokens": "0",
        "amount": {"amount": "0.9000000001", "currency": "USD"},
        "tokenEfficiency": 2e-09,
        "averageCost": "0.45000000005",
        "costPerThousandOutputTokens": "150.000000016667",
        "latencyMs": {
            "p50": pytest.approx(100, rel=0.05),
            "p95": pytest.approx(100, rel=0.05),
            "p99": pytest.approx(100, rel=0.05),
        },
        "wastedOnFailures": "0.9",
        "estimatedShare": pytest.approx(1e-10 / 0.9000000001),
        "callsWithoutAmount": "0",
    }
    assert unpriced["callsWithoutAmount"] == unpriced["calls"] == "1"
    assert {name: value for name, value in unpriced.items() if value not in ("0", "1")} == dict.fromkeys(
        [
            "amount",
            "tokenEfficiency",
            "averageCost",
            "costPerThousandOutputTokens",
            "latencyMs",
            "wastedOnFailures",
            "estimatedShare",
        ]
    )


async def test_buckets_are_of_the_zone_asked_for(seeded: SeededLedger) -> None:
    """A row says where its bucket begins and ends, in UTC, on the zone's midnights."""
    await filled(seeded)
    data = await seeded.data(
        """{ costs(bucket: DAY, timeZone: "Asia/Kolkata", groupBy: [STATUS, API_KEY], groupByTags: ["team"],
                   filter: {currency: {eq: "USD"}}, orderBy: [{field: AMOUNT}]) {
            rows { key { status apiKey bucketStart bucketEnd tags { key value } } calls } } }"""
    )
    failed, succeeded = data["costs"]["rows"]
    start = datetime.fromisoformat(failed["key"]["bucketStart"])
    assert start.astimezone(UTC).strftime("%H:%M:%S") == "18:30:00"
    assert datetime.fromisoformat(failed["key"]["bucketEnd"]) - start == timedelta(days=1)
    assert [failed["key"]["status"], succeeded["key"]["status"]] == ["FAILED", "SUCCEEDED"]
    assert failed["key"]["tags"] == [{"key": "team", "value": "search"}]


async def test_what_has_been_purged_has_its_code(seeded: SeededLedger) -> None:
    """OUT_OF_RETENTION, not an empty answer; bad arguments are BAD_USER_INPUT."""
    await filled(seeded)
    old = '{startedAt: {gte: "2010-01-01T00:00:00Z"}}'
    assert await seeded.code(f"{{ costs(filter: {old}) {{ truncated }} }}") == "OUT_OF_RETENTION"
    assert await seeded.code(f"{{ facets(filter: {old}) {{ models {{ value }} }} }}") == "OUT_OF_RETENTION"
    for arguments in (
        "first: 0",
        "orderBy: [{field: AMOUNT}]",
        'groupByTags: ["nope"]',
        "orderBy: [{field: BUCKET_START}]",
        'filter: {amount: {gt: "1"}}',
        "groupBy: [MODEL, MODEL]",
    ):
        assert await seeded.code(f"{{ costs({arguments}) {{ truncated }} }}") == "BAD_USER_INPUT"


async def test_a_role_gets_no_figure_that_it_may_not_see(seeded: SeededLedger) -> None:
    """Masked money is null in rows and totals; a denied figure is refused by name before anything is read."""
    await filled(seeded)
    scope = seeded.scope(Role.VIEWER)
    views = {
        **scope.views,
        "CostRow.amount": View.MASKED,
        "CostFigures.amount": View.MASKED,
        "Money.amount": View.MASKED,
        "CostRow.averageCost": View.MASKED,
    }
    masked = replace(scope, views=MappingProxyType(views))

    data = await seeded.data(
        "{ costs { rows { calls amount { currency } averageCost } totals { amount { currency } } } }", masked
    )

    assert [row["amount"] for row in data["costs"]["rows"]] == [None, None]
    assert [row["averageCost"] for row in data["costs"]["rows"]] == [None, None]
    assert [total["amount"] for total in data["costs"]["totals"]] == [None, None]
    assert {row["calls"] for row in data["costs"]["rows"]} == {"2", "1"}
    for role in (Role.AUDITOR, Role.COMPLIANCE, Role.INGEST):
        assert await seeded.code("{ costs { rows { calls } } }", seeded.scope(role)) == "FORBIDDEN"
        assert await seeded.code("{ facets { models { value } } }", seeded.scope(role)) == "FORBIDDEN"


async def test_a_key_sees_only_its_accounts(seeded: SeededLedger) -> None:
    """Costs and facets of a key that is bound to another account are empty, whatever it filters by."""
    await filled(seeded)
    other = await seeded.join("other")
    scope = seeded.scope(Role.VIEWER, other)
    query = """{
        costs(filter: {account: {in: ["acme", "other"]}}, groupBy: [ACCOUNT]) { rows { calls } totals { calls } }
        facets { accounts { value } models { value } errorTypes { value } } }"""

    assert await seeded.data(query, scope) == {
        "costs": {"rows": [], "totals": []},
        "facets": {"accounts": [], "models": [], "errorTypes": []},
    }


async def test_facets_are_answered(seeded: SeededLedger) -> None:
    """Values with counts as strings, most calls first; what was not reported is null; only what is selected is read."""
    await filled(seeded)
    data = await seeded.data(
        """{ facets { models { value count } providers { value count } accounts { value count } apiKeys { value count }
             errorTypes { value count } statuses { value count } currencies { value count } } }"""
    )
    two_of = [("gpt-4o", "claude"), ("openai", None), ("prod", None), ("SUCCEEDED", "FAILED"), ("USD", None)]
    names = ["models", "providers", "apiKeys", "statuses", "currencies"]
    assert data["facets"] == {
        **{
            name: [{"value": first, "count": "2"}, {"value": second, "count": "1"}]
            for name, (first, second) in zip(names, two_of, strict=True)
        },
        "accounts": [{"value": "acme", "count": "3"}],
        "errorTypes": [{"value": "Timeout", "count": "1"}],
    }


@pytest.mark.parametrize(
    "field", ["costs(bucket: HOUR) { rows { calls } }", "facets { models { value } }", "errorGroups { totalCount }"]
)
async def test_what_reads_all_of_usage_keeps_to_the_share_of_its_key(seeded: SeededLedger, field: str) -> None:
    """An operation of many aliases waits while its key has the connections that it may have at a time, and another
    key's does not: the database is not one client's.
    """
    await filled(seeded)
    query = "{" + " ".join(f"a{number}: {field}" for number in range(5)) + "}"
    share = seeded.database.share_of(seeded.scope().key_id)
    await share.acquire()

    task = asyncio.create_task(seeded.data(query))
    await seeded.data(query, replace(seeded.scope(), key_id="another"))

    assert not (await asyncio.wait({task}, timeout=1))[0]
    share.release()
    assert len(await task) == 5


async def test_ten_thousand_rows_leave_the_loop_free(seeded: SeededLedger) -> None:
    """A report of ten thousand rows with every figure is answered in turns, by either path, and whole."""
    ledger, moment = await filled(seeded), (await seeded.now()) - timedelta(days=1)
    figures = {"amount": Decimal("0.5"), "currency": "USD", "amount_source": 3, "input_tokens": 3, "output_tokens": 2}
    await ledger.report([Reported(moment, model=f"m{n}", latency_ms=n, **figures) for n in range(10_000)])
    query = f"""{{ costs(groupBy: [MODEL, PROVIDER], first: 10000) {{
        rows {{ key {{ model provider currency tags {{ key value }} bucketStart }} ...F }} truncated }} }}
        fragment F on CostFigure {{ {FIGURES} }}"""

    async with watched() as ordinary:
        first = await seeded.data(query)
    async with watched() as compiled:
        again = await seeded.data(query)

    assert first == again
    assert len(first["costs"]["rows"]) == 10_000 and first["costs"]["truncated"]
    assert max(ordinary) < HELD_CPU_S
    assert max(compiled) < HELD_CPU_S


async def test_aliases_of_one_operation_are_planned_in_turns(seeded: SeededLedger) -> None:
    """Reports by the days of many zones, asked for at once, hold the loop one after the other, and not for all."""
    await filled(seeded)
    zones = ("Asia/Kathmandu", "Australia/Lord_Howe", "America/Nuuk", "Africa/Casablanca", "Asia/Gaza")
    fields = [f'costs(bucket: DAY, timeZone: "{zone}") {{ nodes {{ calls }} }}' for zone in zones * 6]
    query = "{" + " ".join(f"a{number}: {field}" for number, field in enumerate(fields[:28])) + "}"
    await seeded.data(query)  # clocks are looked up once

    held = []
    for _ in range(3):
        async with watched() as gaps:
            data = await seeded.data(query)
        held.append(max(gaps) / sum(gaps))

    assert len(data) == 28
    assert min(held) < 0.25  # all in one: 0.4
