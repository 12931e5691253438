"""A compiled cost report is the ordinary path's, byte for byte, errors included."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from compiled_operations import ORDINARY, answer_bytes, same_answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import SeededLedger, open_seeded
from usage_ledger import Ledger, Reported

from policies.policy.model import Role, View
from service.api.execution.errors import NULL_INPUT
from service.query.model.scope import Scope
from service.retention.rollups.compaction import Compaction

DAY, KOLKATA = timedelta(days=1), timedelta(hours=18, minutes=30)
FIGURES = [
    *("calls", "errors", "inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens"),
    *(
        "tokenEfficiency",
        "averageCost",
        "costPerThousandOutputTokens",
        "wastedOnFailures",
        "estimatedShare",
        "callsWithoutAmount",
    ),
    *("amount { amount currency __typename }", "amount { a: amount }", "latencyMs { p50 p95 p99 }", "__typename"),
    *("n: calls", "latencyMs { p99 again: p99 __typename }"),
    *("timeToFirstTokenMs { p50 p99 }", "f: timeToFirstTokenMs { p95 }"),
]
KEY = [
    *("model", "provider", "account", "apiKey", "status", "operation", "servedModel", "errorType", "user", "currency"),
    *("bucketStart", "bucketEnd", "tags { key value }", "tags { v: value __typename }", "__typename", "m: model"),
]
INFO = ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename"]
DIMENSIONS = ["MODEL", "PROVIDER", "ACCOUNT", "API_KEY", "STATUS", "OPERATION", "SERVED_MODEL", "ERROR_TYPE"]
FILTERS = [
    *("", "model: {eq: $text}", "provider: {isNull: true}", "status: {eq: FAILED}", 'account: {in: ["acme", $text]}'),
    *('currency: {eq: "USD"}', "not: {model: {eq: $text}}", "latencyMs: {gte: 7}", "provider: {eq: null}"),
]
ORDERS = [
    "{field: CALLS}",
    "[{field: BUCKET_START, direction: ASC}]",
    "[{field: AMOUNT}, {field: CALLS}]",
    "$order",
    "[]",
    "[{field: TOKEN_EFFICIENCY}, {field: CACHE_READ_TOKENS, direction: ASC}, {field: KEY}]",
]


def _written(draw: random.Random, now: datetime) -> tuple[str, dict[str, Any]]:
    """One operation about costs in the past, and its variables."""
    given = [f"filter: {{startedAt: {{gte: $from, lt: $to}} {draw.choice(FILTERS)}}}"]
    if draw.random() < 0.8:
        given.append(f"groupBy: {draw.choice(['$by', '[' + ' '.join(_some(draw, DIMENSIONS, 3)) + ']'])}")
    if draw.random() < 0.5:
        given.append(f"bucket: {draw.choice(['$bucket', 'MINUTE', 'QUARTER_HOUR', 'HOUR', 'DAY', 'MONTH'])}")
        given.append("timeZone: $zone")
        if draw.random() < 0.3:
            given.append(f"fillBuckets: {draw.choice(['true', 'false', '$yes'])}")
    if draw.random() < 0.2:
        given.append('groupByTags: ["team"]' if draw.random() < 0.8 else 'groupByTags: ["nothing"]')
    if draw.random() < 0.3:
        given.append(f"orderBy: {draw.choice(ORDERS)}")
    given.append(f"first: {draw.choice(['$first', '2', '10000'])}")
    if draw.random() < 0.1:
        given.append("after: $after")
    row = f"key {{ {' '.join(_some(draw, KEY, 4))} }} {' '.join(_some(draw, FIGURES, 4))}"
    parts = draw.sample(
        [
            f"nodes {{ {row} }}",
            f"edges {{ {draw.choice(['cursor', '__typename c: cursor', ''])} node {{ {row} }} }}",
            "edges { again: node { calls } node { key { currency } } }",
            f"pageInfo {{ {' '.join(_some(draw, INFO, 5))} }}",
            "totalCount",
            f"rows {{ key {{ {' '.join(_some(draw, KEY, 6))} }} {' '.join(_some(draw, FIGURES, 7))} }}",
            f"totals @include(if: $yes) {{ {' '.join(_some(draw, FIGURES, 7))} }}",
            "coverage { from to source __typename }",
            "truncated",
            "__typename",
            f"sums: totals {{ ... on CostFigure {{ {' '.join(_some(draw, FIGURES, 3))} }} }}",
        ],
        draw.randint(1, 6),
    )
    if sum(part.startswith("edges") for part in parts) > 1:
        parts = [part for part in parts if not part.startswith("edges { again")]
    declared = {
        "from": "DateTime!",
        "to": "DateTime!",
        "text": "String!",
        "by": "[CostDimension!]",
        "bucket": "TimeBucket",
        "zone": "TimeZone",
        "order": "[CostOrder!]",
        "first": "Int",
        "after": "String",
        "yes": "Boolean!",
    }
    asked = f"costs({', '.join(given)}) {{ {' '.join(parts)} }}"
    used = {name: type_ for name, type_ in declared.items() if f"${name}" in asked}
    head = ", ".join(f"${name}: {type_}" for name, type_ in used.items())
    values = _values(draw, now)
    return f"query ({head}) {{ {asked} }}", {name: values[name] for name in used}


def _some(draw: random.Random, names: list[str], most: int) -> list[str]:
    found: dict[str, str] = {}
    for name in draw.sample(names, draw.randint(1, most)):
        # The same field twice in one object has one key, and would have to ask for the same.
        found.setdefault(name.partition(" ")[0], name)
    return list(found.values())


def _values(draw: random.Random, now: datetime) -> dict[str, Any]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "from": draw.choice([midnight - 300 * DAY, midnight - 50 * DAY + KOLKATA]).isoformat(),
        "to": draw.choice([now - DAY, midnight - 2 * DAY + KOLKATA, midnight - 300 * DAY]).isoformat(),
        "text": draw.choice(["gpt-4o", "acme", ""]),
        "by": draw.choice([None, [], ["MODEL"], ["MODEL", "STATUS"], ["MODEL", "MODEL"], "PROVIDER"]),
        "bucket": draw.choice([None, "DAY", "WEEK"]),
        "zone": draw.choice([None, "UTC", "Asia/Kolkata", "Europe/Vienna"]),
        "order": draw.choice([None, [{"field": "ERRORS"}, {"field": "TOTAL_TOKENS", "direction": "ASC"}]]),
        "after": draw.choice([None, None, "nothing"]),
        "first": draw.choice([None, 1, 3, 0, 10_001, 1_000]),
        "yes": draw.random() < 0.8,
    }


def _call(index: int, moment: Any) -> Reported:
    draw = random.Random(index)
    priced = draw.random() < 0.7
    return Reported(
        moment,
        account=draw.choice(["acme", "globex"]),
        model=draw.choice(["gpt-4o", "claude ä", "o'\"1"]),
        provider=draw.choice([None, "openai"]),
        api_key=draw.choice([None, "prod"]),
        failed=draw.random() < 0.3,
        amount=draw.choice([Decimal(0), Decimal("0.000000000123"), Decimal(1200), Decimal("-3.10")])
        if priced
        else None,
        currency=draw.choice(["USD", "EUR"]) if priced else draw.choice([None, "USD"]),
        amount_source=draw.choice([1, 3]) if priced else None,
        input_tokens=draw.choice([None, 0, 2**31 - 1]),
        output_tokens=draw.choice([None, 0, 7]),
        latency_ms=draw.choice([None, 0, 7, 90_000]),
        time_to_first_token_ms=draw.choice([None, 0, 7, 900]),
        error_type=draw.choice([None, "Timeout"]),
        user_token=draw.choice([None, -(2**63), 0, 7]),
        operation=draw.choice([None, "chat"]),
        tags=draw.choice([{}, {"team": "search"}, {"team": "ä"}]),
    )


@pytest.fixture(scope="function")
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    """Calls of two accounts over the last month, some compacted."""
    async with open_seeded(database_url, tmp_path) as seeded:
        ledger = Ledger(
            seeded.database, seeded.accounts, seeded.policy, seeded.partitions, Compaction(seeded.database.owner)
        )
        now = await seeded.now()
        calls = [_call(index, now - timedelta(hours=11 * index, minutes=index)) for index in range(60)]
        await ledger.report(calls[:40])
        await ledger.compaction.compact_all()
        await ledger.report(calls[40:])
        yield seeded


def _scopes(seeded: SeededLedger, number: int) -> list[Scope]:
    rule = seeded.policy.roles[Role.VIEWER]
    hidden = {**rule.fields, "CostRow.latencyMs": View.MASKED, "CostRow.wastedOnFailures": View.MASKED}
    masking = {**rule.fields, "Call.currency": View.MASKED, "Money.currency": View.MASKED}
    policies = [
        replace(
            seeded.policy,
            roles=MappingProxyType(
                {**seeded.policy.roles, Role.VIEWER: replace(rule, fields=MappingProxyType(fields))}
            ),
        )
        for fields in (hidden, masking)
    ]
    return [
        seeded.scope(Role.ADMIN),
        seeded.scope(Role.PARTNER, number),
        seeded.scope(Role.AUDITOR),
        *(seeded.scope(Role.VIEWER, policy=policy) for policy in policies),
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64))
async def test_a_report_is_answered_alike(seeded: SeededLedger, seed: int) -> None:
    """Any report, for any role: the same bytes, and really compiled for who sees it whole and asks what there is."""
    draw = random.Random(seed)
    number = await seeded.accounts.find("acme")
    assert number is not None
    scopes = _scopes(seeded, number)
    scope = draw.choice(scopes)
    query, variables = _written(draw, await seeded.now())

    answered = await same_answer(seeded, scope, query, variables)

    _, errors, *_ = orjson.loads(await answer_bytes(seeded, ORDINARY, scope, query, variables))
    refused = any("path" not in error or error["message"] == NULL_INPUT for error in errors)
    assert answered or refused or scope not in scopes[:2], query


async def test_a_report_stands_beside_lists(seeded: SeededLedger) -> None:
    """An operation about costs and lists together is compiled as a whole."""
    query = """query ($from: DateTime!, $to: DateTime!) {
        costs(groupBy: [MODEL], filter: {startedAt: {gte: $from, lt: $to}}) { rows { key { model } calls } }
        calls(first: 2) { nodes { model } totalCount }
    }"""
    now = await seeded.now()
    variables = {"from": (now - 30 * DAY).isoformat(), "to": (now - DAY).isoformat()}
    assert await same_answer(seeded, seeded.scope(Role.ADMIN), query, variables)
