"""Costs are exact: whatever is asked, the answer is the sum over the calls, compacted or not."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil, log
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from usage_ledger import Ledger, Reported, open_ledger

from service.query.buckets.tier_days import TierDays
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch
from service.query.usage.report import CostRow, Costs, Figures, read_costs
from service.query.usage.report_request import NEEDS, CostRequest
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.unsummed import EVERY_TABLE, leave, make_sums

NOW = datetime(2026, 11, 22, 10, 7, 31, 250_000, tzinfo=UTC)
SLOW = frozenset({"timeToFirstTokenMs"})
MONEY = frozenset(NEEDS) - SLOW  # what sums can answer too

# Around changes of the clock in Vienna, New York, and Lord Howe (half an hour), and where months, weeks and days meet.
MOMENTS = [
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 11, 15, 18, 30, tzinfo=UTC),
    datetime(2026, 11, 21, 0, 0, tzinfo=UTC),
    NOW,
]
ZONES = ["UTC", "Asia/Kolkata", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]


def some_moment(rng: random.Random) -> datetime:
    offset = rng.choice([timedelta(0), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)])
    noise = timedelta(milliseconds=rng.choice([0, -1, 1, rng.randrange(-(10**8), 10**8)]))
    return min(rng.choice(MOMENTS) + rng.choice([-1, 1]) * offset + noise, NOW)


def some_call(rng: random.Random) -> Reported:
    priced = rng.random() < 0.8
    return Reported(
        some_moment(rng),
        account=rng.choice(["acme", "beta", "Äpfel"]),
        model=rng.choice(["gpt-4o", "claude", "gpt-4o-mini"]),
        provider=rng.choice([None, "openai", "anthropic"]),
        api_key=rng.choice([None, "prod", "dev"]),
        failed=rng.random() < 0.2,
        amount=Decimal(rng.randrange(-5, 10**9)).scaleb(-12) if priced else None,
        currency=rng.choice(["USD", "EUR"]) if priced else rng.choice([None, "USD"]),
        amount_source=rng.choice([1, 2, 3]) if priced else None,
        input_tokens=rng.choice([None, 0, rng.randrange(2**31 - 1)]),
        output_tokens=rng.choice([None, rng.randrange(1000)]),
        cache_read_tokens=rng.choice([None, 7]),
        latency_ms=rng.choice([None, 0, 1, rng.randrange(100_000)]),
        time_to_first_token_ms=rng.choice([None, 0, 3, rng.randrange(5_000)]),
        operation=rng.choice([None, "chat", "embeddings"]),
        served_model=rng.choice([None, "gpt-4o-2024"]),
        error_type=rng.choice([None, "Timeout"]),
        tags=rng.choice([{}, {"team": "search"}, {"team": "ads", "purpose": "x"}, {"purpose": "y"}]),
    )


ATTRIBUTES = {
    "account": "account",
    "model": "model",
    "provider": "provider",
    "apiKey": "api_key",
    "currency": "currency",
    "operation": "operation",
    "servedModel": "served_model",
    "errorType": "error_type",
    "latencyMs": "latency_ms",
    "outputTokens": "output_tokens",
    "startedAt": "started_at",
}
TEXTS = ["gpt-4o", "claude", "openai", "prod", "USD", "EUR", "acme", "Äpfel", "chat", "Timeout", "", "p", "nobody"]


def matches(call: Reported, predicate: Predicate) -> bool:
    """The meaning of a predicate, said once more."""
    match predicate:
        case And(parts):
            return all(matches(call, part) for part in parts)
        case Or(parts):
            return any(matches(call, part) for part in parts)
        case Not(part):
            return not matches(call, part)
        case TagMatch(key, conditions):
            return key in call.tags and all(compares(call.tags[key], c) for c in conditions)
        case Compare(field="status"):
            return compares("FAILED" if call.failed else "SUCCEEDED", predicate)
        case Compare(field):
            return compares(getattr(call, ATTRIBUTES[field]), predicate)


def compares(value: Any, compare: Compare) -> bool:
    wanted: Any = compare.value
    if compare.operator in ("ne", "notIn"):
        return value != wanted if compare.operator == "ne" else value not in wanted
    if compare.operator == "isNull":
        return (value is None) is wanted
    if value is None:
        return False
    return {
        "eq": lambda: value == wanted,
        "in": lambda: value in wanted,
        "lt": lambda: value < wanted,
        "lte": lambda: value <= wanted,
        "gt": lambda: value > wanted,
        "gte": lambda: value >= wanted,
        "contains": lambda: wanted in value,
        "startsWith": lambda: value.startswith(wanted),
    }[compare.operator]()


texts = st.sampled_from(TEXTS)
text_fields = st.sampled_from(["account", "model", "provider", "apiKey", "currency"])
raw_fields = st.sampled_from(["operation", "servedModel", "errorType"])


def comparisons(fields: st.SearchStrategy[str]) -> st.SearchStrategy[Predicate]:
    return st.one_of(
        st.builds(Compare, fields, st.sampled_from(["eq", "ne", "contains", "startsWith"]), texts),
        st.builds(Compare, fields, st.sampled_from(["in", "notIn"]), st.lists(texts, max_size=3).map(tuple)),
        st.builds(Compare, fields, st.just("isNull"), st.booleans()),
    )


statuses = st.builds(
    Compare, st.just("status"), st.sampled_from(["eq", "ne"]), st.sampled_from(["FAILED", "SUCCEEDED"])
)
numbers = st.builds(
    Compare,
    st.sampled_from(["latencyMs", "outputTokens"]),
    st.sampled_from(["lt", "gte", "ne", "eq"]),
    st.integers(0, 900),
)
tag_matches = st.builds(
    TagMatch,
    st.sampled_from(["team", "purpose", "nothing"]),
    st.one_of(st.just(()), st.builds(lambda v: (Compare("value", "ne", v),), st.sampled_from(["search", "x"]))),
)
of_rollups = st.one_of(comparisons(text_fields), statuses)
leaves = st.one_of(of_rollups, of_rollups, of_rollups, comparisons(raw_fields), numbers, tag_matches)


def trees(base: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    return st.recursive(
        base,
        lambda inner: st.one_of(
            st.builds(And, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Not, inner),
        ),
        max_leaves=4,
    )


moments = st.builds(
    lambda base, days, noise: base + timedelta(days=days) + noise,
    st.sampled_from(MOMENTS),
    st.integers(-30, 5),
    st.sampled_from([timedelta(0), timedelta(minutes=15), timedelta(minutes=30), timedelta(minutes=7, microseconds=1)]),
)
times = st.one_of(
    st.just(()),
    st.builds(lambda op, at: (Compare("startedAt", op, at),), st.sampled_from(["gte", "lt", "gt", "lte"]), moments),
    st.builds(
        lambda a, b, ops: (Compare("startedAt", ops[0], min(a, b)), Compare("startedAt", ops[1], max(a, b))),
        moments,
        moments,
        st.sampled_from([("gte", "lt"), ("gte", "lte"), ("gt", "lt")]),
    ),
)
DIMENSION = {
    "MODEL": "model",
    "PROVIDER": "provider",
    "ACCOUNT": "account",
    "API_KEY": "api_key",
    "OPERATION": "operation",
    "SERVED_MODEL": "served_model",
    "ERROR_TYPE": "error_type",
}
OF_THE_CLOCK = {TimeBucket.MINUTE: 1, TimeBucket.QUARTER_HOUR: 15}


def week_from(moment: datetime) -> tuple[Compare, Compare]:
    return Compare("startedAt", "gte", moment), Compare("startedAt", "lt", moment + timedelta(days=6, seconds=7))


questions = st.builds(
    lambda tree, span, near, dimensions, tags, bucket, zone, more: CostRequest(
        # Ten thousand minutes are a week.
        predicate=And((tree, *(week_from(near) if bucket in OF_THE_CLOCK else span))),
        dimensions=dimensions,
        tags=tags,
        bucket=bucket,
        zone=zone,
        first=10_000,
        row_figures=MONEY | more,
        total_figures=MONEY | more,
    ),
    st.one_of(st.just(And(())), trees(of_rollups), trees(leaves)),
    times,
    moments,
    st.lists(st.sampled_from([*DIMENSION, "STATUS"]), unique=True, max_size=3),
    st.one_of(st.just([]), st.just([]), st.just(["team"])),
    st.sampled_from([None, *TimeBucket]),
    st.sampled_from(ZONES),
    st.sampled_from([frozenset[str](), frozenset[str](), SLOW]),
)


def label(moment: datetime, bucket: TimeBucket | None, zone: str) -> object:
    """The bucket by the wall clock, worked out without edges."""
    local = moment.astimezone(ZoneInfo(zone))
    if bucket is None:
        return None
    if bucket is TimeBucket.HOUR:
        # Half an hour is repeated on Lord Howe, inside one bucket; elsewhere whole hours are.
        return local.date(), local.hour, None if zone == "Australia/Lord_Howe" else local.utcoffset()
    if bucket in OF_THE_CLOCK:
        return local.date(), local.hour, local.minute // OF_THE_CLOCK[bucket], local.utcoffset()
    if bucket is TimeBucket.WEEK:
        return local.isocalendar()[:2]
    return (local.year, local.month) if bucket is TimeBucket.MONTH else local.date()


def key_of(call: Reported, request: CostRequest) -> tuple[object, ...]:
    values = [
        ("FAILED" if call.failed else "SUCCEEDED") if name == "STATUS" else getattr(call, DIMENSION[name])
        for name in request.dimensions
    ]
    tags = [call.tags.get(key) for key in request.tags]
    return (*values, *tags, label(call.started_at, request.bucket, request.zone), call.currency)


def key_of_row(row: CostRow, request: CostRequest) -> tuple[object, ...]:
    start = row.key.bucket_start
    tags = list((row.key.tags or {}).values())
    bucket = None if start is None else label(start, request.bucket, request.zone)
    return (*(row.key.values[name] for name in request.dimensions), *tags, bucket, row.key.currency)


def sums(calls: list[Reported]) -> dict[str, Decimal]:
    amounts = [call.amount for call in calls if call.amount is not None]
    whole: dict[str, Any] = {
        "calls": len(calls),
        "errors": sum(call.failed for call in calls),
        "input_tokens": sum(call.input_tokens or 0 for call in calls),
        "output_tokens": sum(call.output_tokens or 0 for call in calls),
        "cache_read_tokens": sum(call.cache_read_tokens or 0 for call in calls),
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "priced": len(amounts),
        "amount": sum(amounts, Decimal(0)),
        "estimated": sum((c.amount for c in calls if c.amount is not None and c.amount_source == 3), Decimal(0)),
        "wasted": sum((c.amount for c in calls if c.amount is not None and c.failed), Decimal(0)),
    }
    return {name: Decimal(value) for name, value in whole.items()}


def bucket_of(latency_ms: int) -> int:
    return min(ceil(log(max(latency_ms, 1)) / log(1.1)), 159)


def assert_figures(figures: Figures, calls: list[Reported]) -> None:
    assert figures.sums == sums(calls)
    measured = {"latency": "latency_ms", "first_token": "time_to_first_token_ms"}
    for alias, histogram in figures.histograms.items():
        taken = [getattr(call, measured[alias]) for call in calls]
        bins = Counter(bucket_of(value) for value in taken if value is not None)
        assert list(zip(*histogram, strict=True)) == sorted(bins.items())


def assert_exact(report: Costs, request: CostRequest, calls: list[Reported]) -> None:
    groups: dict[tuple[object, ...], list[Reported]] = defaultdict(list)
    currencies: dict[str | None, list[Reported]] = defaultdict(list)
    for call in calls:
        groups[key_of(call, request)].append(call)
        currencies[call.currency].append(call)
    assert sorted(map(repr, groups)) == sorted(repr(key_of_row(row, request)) for row in report.rows)
    for row in report.rows:
        assert_figures(row.figures, groups[key_of_row(row, request)])
    assert {total.currency for total in report.totals} == currencies.keys()
    for total in report.totals:
        assert_figures(total, currencies[total.currency])
    assert not report.has_next


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[tuple[Ledger, list[Reported]]]:
    """Calls in one part compacted and one part not."""
    rng = random.Random(20261122)
    calls = [some_call(rng) for _ in range(700)]
    async with open_ledger(database_url) as ledger:
        await ledger.sum_tags("team")
        for start in range(0, len(calls), 100):
            await ledger.report(calls[start : start + 100])
            await Compaction(ledger.database.owner, rows=40).compact()
        yield ledger, calls


days = st.sets(st.sampled_from([moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in MOMENTS]))
tables = st.sets(st.sampled_from(EVERY_TABLE))


async def leave_unsummed(owner: asyncpg.Pool, days: set[datetime], tables: set[str]) -> None:
    """Let some days have no rows in some tables of sums, and all others all."""
    await make_sums(owner, TierDays(1, min(MOMENTS) - timedelta(days=3), NOW + timedelta(days=3)))
    async with owner.acquire() as connection, connection.transaction():
        for day in days:
            await leave(connection, 1, day, sorted(tables))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=questions, narrowed=st.booleans(), compact=st.booleans(), unsummed=st.none() | st.tuples(days, tables))
async def test_costs_are_the_sums_over_the_calls(
    filled: tuple[Ledger, list[Reported]],
    request: CostRequest,
    narrowed: bool,
    compact: bool,
    unsummed: tuple[set[datetime], set[str]] | None,
) -> None:
    """For any filter, grouping, bucket, zone and range, however far the folder has come, and whatever days have lost
    whatever sums, figures are exact.
    """
    ledger, calls = filled
    if unsummed is not None:
        await leave_unsummed(ledger.database.owner, *unsummed)
    if compact:
        await Compaction(ledger.database.owner, rows=3).compact()
    names = await ledger.accounts.ensure(["acme", "Äpfel"])
    reader = ledger.reader(NOW, tuple(names.values()) if narrowed else None)

    report = await read_costs(reader, request)

    inside = [call for call in calls if call.account in names] if narrowed else calls
    assert_exact(report, request, [call for call in inside if matches(call, request.predicate)])
