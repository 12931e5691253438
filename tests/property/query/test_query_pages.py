"""Whatever is filtered by and however it is paged, the answer is that of a few lines of plain Python."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import EPOCH, SeededLedger, StoredCall, call_uuid, open_seeded

from policies.policy.document import load_preset
from policies.policy.model import Role, Store, Tier
from service.query.model.catalog import CALLS
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch
from service.query.records.ordering import OrderTerm
from service.query.records.page import PageRequest, PageSelection
from service.storage.sources import AMOUNT_SOURCE_NAMES

SHORT = Tier("short", 2, {Store.CALL: 20, Store.CALL_ERROR: 5, Store.USAGE_QUARTER: 20, Store.USAGE_DAY: 60}, {})
TEXTS = [
    "gpt-4o",
    "GPT-4o",
    "claude",
    "ä",
    "z",
    "é",
    "e\u0301",
    "😀",
    "\uffff",
    "%",
    "_",
    "a_b",
    "a%b",
    "\\",
    "'; DROP TABLE call; --",
]
ASKED = [*TEXTS, "", "gpt", "4", "\x00", "a\x00b", "\ud800", "\\%", "a", "D"]
TEXT_FIELDS = {
    "sourceId": "source_id",
    "apiKey": "api_key",
    "model": "model",
    "servedModel": "served_model",
    "provider": "provider",
    "operation": "operation",
    "currency": "currency",
    "errorType": "error_type",
    "errorCode": "error_code",
}
NUMBER_FIELDS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "latencyMs": "latency_ms",
    "timeToFirstTokenMs": "time_to_first_token_ms",
    "cacheReadTokens": "cache_read_tokens",
    "cacheWriteTokens": "cache_write_tokens",
}
NUMBERS = [0, 1, 7, 100, 2**31 - 1, -1]
AMOUNTS = [Decimal(0), Decimal("0.000000000001"), Decimal("0.1"), Decimal("12.5"), Decimal(-3)]


class World:
    """The ledger, and what is in it as plain values. No dataclass: a failing example would print all of it."""

    def __init__(self, seeded: SeededLedger, calls: list[StoredCall], now: datetime, numbers: dict[str, int]) -> None:
        self.seeded = seeded
        self.calls = calls
        self.now = now
        self.numbers = numbers

    def tier(self, call: StoredCall) -> int:
        return self.seeded.accounts.tier(self.numbers[call.account], call.started_at)

    def uuid(self, call: StoredCall) -> str:
        return str(call_uuid(self.numbers[call.account], "native", call.source_id, call.started_at))

    def visible(self, call: StoredCall) -> bool:
        return call.started_at >= self.now - timedelta(days={1: 400, 2: 20}[self.tier(call)])


def random_calls(now: datetime) -> list[StoredCall]:
    """A few hundred calls over 400 days, many at the same moments, with holes in every column."""
    choose = random.Random(7)

    def some(values: list[Any]) -> Any:
        return choose.choice([None, *values])

    # Around the ends of both windows, of the personal one, of slices, weeks and days.
    ages = [0.001, 0.03, 0.3, 0.99, 1.01, 3, 7.9, 8.1, 9.5, 12, 19.9, 20.1, 25, 29.9, 30.1, 36.5, 55, 131, 399.9, 400.1]
    moments = [now - timedelta(days=age) for age in ages]
    moments = [moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in moments]
    calls = []
    for index in range(260):
        calls.append(
            StoredCall(
                choose.choice(moments) + timedelta(milliseconds=choose.choice([0, 0, 1])),
                account=choose.choice(["acme", "beta", "gamma", "moved"]),
                source_id=f"{choose.choice(TEXTS)}{index}",
                model=choose.choice(TEXTS),
                served_model=some(TEXTS),
                provider=some(TEXTS),
                operation=some(TEXTS),
                api_key=some(TEXTS),
                user=some(["u1", "u2"]),
                failed=choose.random() < 0.3,
                streamed=some([True, False]),
                input_tokens=some(NUMBERS[:5]),
                output_tokens=some(NUMBERS[:5]),
                amount=some(AMOUNTS),
                currency=some(["USD", "EUR"]),
                amount_source=some([1, 2, 3, 4]),
                cache_read_tokens=some(NUMBERS[:5]),
                cache_write_tokens=some(NUMBERS[:5]),
                latency_ms=some(NUMBERS[:5]),
                time_to_first_token_ms=some(NUMBERS[:5]),
                tags=some([{"team": "a"}, {"team": "b", "app": "ä"}, {"app": "%"}]),
                error_type=some(TEXTS),
                error_code=some(["429", "500"]),
            )
        )
    return calls


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    policy = load_preset("default")
    policy = replace(policy, tiers=MappingProxyType({**policy.tiers, "short": SHORT}))
    async with open_seeded(database_url, tmp_path, policy) as seeded:
        now = await seeded.now()
        moved_at = (now - timedelta(days=10)).replace(hour=0, minute=0, second=0, microsecond=0)
        numbers = {
            "acme": await seeded.join("acme"),
            "beta": await seeded.join("beta", (2, EPOCH)),
            "gamma": await seeded.join("gamma"),
            "moved": await seeded.join("moved", (1, EPOCH), (2, moved_at)),
        }
        calls = random_calls(now)
        await seeded.put(calls)
        yield World(seeded, calls, now, numbers)


def holds(world: World, predicate: Predicate, call: StoredCall) -> bool:
    """What a predicate means."""
    match predicate:
        case And(parts):
            return all(holds(world, part, call) for part in parts)
        case Or(parts):
            return any(holds(world, part, call) for part in parts)
        case Not(part):
            return not holds(world, part, call)
        case TagMatch(key, conditions):
            value = (call.tags or {}).get(key)
            return value is not None and all(compare(value, c.operator, c.value) for c in conditions)
        case Compare(field, operator, value):
            return compare(reported(world, field, call), operator, value)


def reported(world: World, field: str, call: StoredCall) -> Any:
    match field:
        case "startedAt":
            return call.started_at
        case "account":
            return call.account
        case "status":
            return "FAILED" if call.failed else "SUCCEEDED"
        case "streamed" | "amount":
            return getattr(call, field)
        case "user":
            days = {1: 30, 2: 20}[world.tier(call)]
            return call.user if call.started_at >= world.now - timedelta(days=days) else None
        case "source":
            return "native"
        case "amountSource":
            known = call.amount is not None and call.currency is not None
            return AMOUNT_SOURCE_NAMES.get(call.amount_source or 0) if known else None
        case "tokenEfficiency":
            known = call.input_tokens and call.output_tokens is not None
            return call.output_tokens / call.input_tokens if known else None  # type: ignore[operator]
        case "totalTokens":
            if call.input_tokens is None and call.output_tokens is None:
                return None
            return (call.input_tokens or 0) + (call.output_tokens or 0)
    return getattr(call, {**TEXT_FIELDS, **NUMBER_FIELDS}[field])


def compare(value: Any, operator: str, other: Any) -> bool:
    match operator:
        case "isNull":
            return (value is None) is other
        case "ne":
            return value != other
        case "notIn":
            return value not in other
    if value is None:
        return False
    match operator:
        case "eq":
            return value == other
        case "in":
            return value in other
        case "lt":
            return value < other
        case "lte":
            return value <= other
        case "gt":
            return value > other
        case "gte":
            return value >= other
        case "contains":
            return other in value
        case "startsWith":
            return value.startswith(other)
    raise AssertionError(operator)


def comparisons(
    field: str, values: list[Any], operators: list[str], nullable: bool = True
) -> st.SearchStrategy[Predicate]:
    one = st.sampled_from(values)
    many = st.lists(one, max_size=3).map(tuple)
    choices = [
        st.builds(Compare, st.just(field), st.just(operator), many if operator in ("in", "notIn") else one)
        for operator in operators
    ]
    if nullable:
        choices.append(st.builds(Compare, st.just(field), st.just("isNull"), st.booleans()))
    return st.one_of(choices)


EQUAL = ["eq", "ne", "in", "notIn"]
TEXT = [*EQUAL, "contains", "startsWith"]
ORDERED = ["lt", "lte", "gt", "gte"]
HOURS = [timedelta(hours=hours) for hours in (0, 1, 30, 24 * 5, 24 * 19, 24 * 31, 24 * 60)]
TAGS = st.builds(
    TagMatch,
    st.sampled_from(["team", "app", "none", "te\x00am"]),
    st.lists(comparisons("value", ["a", "b", "ä", "%", "\x00", ""], TEXT), max_size=2).map(tuple),
)


def leaves(now: datetime) -> st.SearchStrategy[Predicate]:
    moments = [now - hours for hours in HOURS]
    fields = [
        *(comparisons(field, ASKED, TEXT) for field in TEXT_FIELDS),
        *(comparisons(field, NUMBERS, EQUAL + ORDERED) for field in [*NUMBER_FIELDS, "totalTokens"]),
        comparisons("startedAt", moments, ["eq", *ORDERED], nullable=False),
        comparisons("account", ["acme", "beta", "moved", "zeta", "a", "", "\x00"], TEXT, nullable=False),
        comparisons("status", ["FAILED", "SUCCEEDED"], EQUAL, nullable=False),
        comparisons("tokenEfficiency", [0.0, 1.0, 7.0, 1 / 7, 1e300, -0.0], ORDERED),
        comparisons("amountSource", ["BILLED", "ESTIMATED", "ROUNDED"], EQUAL),
        comparisons("source", ["native", "litellm", ""], TEXT, nullable=False),
        comparisons("streamed", [True, False], ["eq"]),
        comparisons("user", ["u1", "u3"], ["eq"]),
        comparisons("amount", [*AMOUNTS, Decimal("1e-12"), Decimal("-0.5")], ["eq", "ne", *ORDERED]).map(
            lambda leaf: And((leaf, Compare("currency", "eq", "USD")))
        ),
        TAGS,
    ]
    # One of the fields first: one_of would choose among all comparisons of all, and mostly ask for text.
    return st.sampled_from(fields).flatmap(lambda field: field)


def predicates(now: datetime) -> st.SearchStrategy[Predicate]:
    return st.recursive(
        leaves(now),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
            inner.map(Not),
        ),
        max_leaves=6,
    )


# The clock stands still for the strategies: moments are drawn around the moment of the import.
NOW = datetime.now(UTC).replace(microsecond=0)


async def all_pages(world: World, request: PageRequest, scope: Any, wanted: PageSelection) -> list[list[Any]]:
    """Every page from the asked end to the other, following the cursors; checked as it goes."""
    pages: list[list[Any]] = []
    while True:
        page = await world.seeded.reader.page(scope, CALLS, request, wanted)
        pages.append(list(page.rows))
        assert page.has_next if request.from_end and len(pages) > 1 else True
        assert page.has_previous if not request.from_end and len(pages) > 1 else True
        more = page.has_previous if request.from_end else page.has_next
        if not more:
            return pages
        assert len(page.rows) == request.size
        edge = page.cursor(page.rows[0] if request.from_end else page.rows[-1])
        request = request._replace(before=edge) if request.from_end else request._replace(after=edge)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    predicate=predicates(NOW),
    size=st.integers(1, 60),
    descending=st.booleans(),
    backward=st.booleans(),
    accounts=st.sampled_from([(), ("acme",), ("beta", "moved"), ("acme", "beta", "gamma", "moved")]),
)
async def test_pages_hold_every_match_once_and_nothing_else(
    world: World, predicate: Predicate, size: int, descending: bool, backward: bool, accounts: tuple[str, ...]
) -> None:
    """Forward or backward, over tiers and partitions, scoped or not: every match once, in order, and exact counts."""
    scope = world.seeded.scope(Role.ADMIN, *(world.numbers[name] for name in accounts))
    expected = sorted(
        (
            (call.started_at, world.uuid(call))
            for call in world.calls
            if world.visible(call) and (not accounts or call.account in accounts) and holds(world, predicate, call)
        ),
        reverse=descending,
    )
    request = PageRequest(predicate, (OrderTerm("STARTED_AT", descending),), size, backward)

    pages = await all_pages(world, request, scope, PageSelection(total=True))
    total = await world.seeded.reader.page(scope, CALLS, request, PageSelection(rows=False, total=True))

    rows = [row for page in (reversed(pages) if backward else pages) for row in page]
    assert [(row["started_at"], row["id"]) for row in rows] == expected
    assert total.total == len(expected)


KEYS = {
    "STARTED_AT": lambda call: call.started_at,
    "LATENCY": lambda call: call.latency_ms,
    "AMOUNT": lambda call: call.amount,
    "TOTAL_TOKENS": lambda call: reported(None, "totalTokens", call),  # type: ignore[arg-type]
    "CACHE_READ_TOKENS": lambda call: call.cache_read_tokens,
    "CACHE_WRITE_TOKENS": lambda call: call.cache_write_tokens,
    "TOKEN_EFFICIENCY": lambda call: reported(None, "tokenEfficiency", call),  # type: ignore[arg-type]
    "TIME_TO_FIRST_TOKEN": lambda call: call.time_to_first_token_ms,
    "AMOUNT_SOURCE": lambda call: reported(None, "amountSource", call),  # type: ignore[arg-type]
}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    terms=st.lists(
        st.tuples(st.sampled_from(list(KEYS)), st.booleans()), min_size=1, max_size=3, unique_by=lambda term: term[0]
    ),
    size=st.integers(1, 60),
    backward=st.booleans(),
    account=st.sampled_from([None, "acme", "moved"]),
)
async def test_other_orders_put_nulls_last_and_ties_by_id(
    world: World, terms: list[tuple[str, bool]], size: int, backward: bool, account: str | None
) -> None:
    """Any order of any terms pages every row once, nulls last in both directions, ties by id."""
    scope = world.seeded.scope(Role.ADMIN, *([world.numbers[account]] if account else []))
    since = world.now - timedelta(days=30)
    expected = [
        call
        for call in world.calls
        if world.visible(call)
        and call.started_at >= since
        and call.currency == "USD"
        and account in (None, call.account)
    ]
    expected.sort(key=world.uuid, reverse=terms[0][1])
    for name, descending in reversed(terms):
        known = [call for call in expected if KEYS[name](call) is not None]
        unknown = [call for call in expected if KEYS[name](call) is None]
        expected = sorted(known, key=KEYS[name], reverse=descending) + unknown
    predicate = And((Compare("currency", "eq", "USD"), Compare("startedAt", "gte", since)))
    request = PageRequest(predicate, tuple(OrderTerm(*term) for term in terms), size, backward)

    pages = await all_pages(world, request, scope, PageSelection())

    rows = [row for page in (reversed(pages) if backward else pages) for row in page]
    assert [row["id"] for row in rows] == [world.uuid(call) for call in expected]
