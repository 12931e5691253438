"""Bad, hostile and strange input: each answered by its code, none of it shown or obeyed."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from eight_calls import open_eight_calls
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import Role
from service.api.execution.limits import Bucket

TEXT_FIELDS = [
    *("sourceId", "account", "apiKey", "model", "servedModel", "provider", "operation", "currency"),
    *("errorType", "errorCode"),
]
INJECTIONS = [
    "'; DROP TABLE call; --",
    "' OR '1'='1",
    "$1",
    "%",
    "_",
    "\\",
    "{readable}",
    "\x00",
    "\ud800",
    "x" * 10_000,
    "a\u202eb",
]


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_eight_calls(database_url, tmp_path) as seeded:
        yield seeded


async def test_hostile_text_matches_nothing_and_breaks_nothing(seeded: SeededLedger) -> None:
    """Quotes, wildcards, placeholders, NUL and lone surrogates are text like any other, in every filter."""
    query = "query($f: CallFilter!) { calls(filter: $f) { totalCount } }"
    for text in INJECTIONS:
        for field in TEXT_FIELDS:
            for operator in ("eq", "contains", "startsWith"):
                data = await seeded.data(query, variables={"f": {field: {operator: text}}})
                assert data["calls"]["totalCount"] == 0, (field, operator, text)
            negative = {field: {"ne": text, "notIn": [text, text]}}
            assert (await seeded.data(query, variables={"f": negative}))["calls"]["totalCount"] == 8
        tag = {"tags": [{"key": text}, {"key": "team", "value": {"eq": text}}]}
        assert (await seeded.data(query, variables={"f": tag}))["calls"]["totalCount"] == 0
        errors = "query($t: String!) { errors(filter: {redactedBy: {contains: $t}, type: {eq: $t}}) { totalCount } }"
        assert (await seeded.data(errors, variables={"t": text}))["errors"]["totalCount"] == 0
    user = "query($t: String!) { calls(filter: {user: {id: $t}}) { totalCount } }"
    assert (await seeded.data(user, variables={"t": "'; DROP TABLE call; --"}))["calls"]["totalCount"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "{ calls(first: 0) { totalCount } }",
        "{ calls(first: 201) { totalCount } }",
        "{ calls(last: -1) { totalCount } }",
        "{ calls(first: 1, last: 1) { totalCount } }",
        "{ errors(first: 201) { totalCount } }",
        "{ errorGroups(first: 0) { totalCount } }",
        '{ calls(after: "x") { totalCount } }',
        '{ calls(before: "") { totalCount } }',
        '{ errorGroups(after: "AAAA") { totalCount } }',
        "{ calls(filter: {model: {eq: null}}) { totalCount } }",
        "{ calls(filter: {and: [null]}) { totalCount } }",
        '{ calls(filter: {user: {id: "a", isNull: true}}) { totalCount } }',
        "{ calls(filter: {user: {}}) { totalCount } }",
        '{ calls(filter: {user: {pseudonym: ["usr_x"]}}) { totalCount } }',
        '{ calls(filter: {id: {eq: "call_x"}}) { totalCount } }',
        '{ calls(filter: {or: [{id: {in: ["err_x"]}}]}) { totalCount } }',
        '{ errors(filter: {fingerprint: {eq: "x"}}) { totalCount } }',
        '{ calls(filter: {startedAt: {gte: "2026-01-01"}}) { totalCount } }',
        '{ calls(filter: {startedAt: {gte: "2026-01-01T00:00:00"}}) { totalCount } }',
        '{ calls(filter: {startedAt: {gte: "2026-13-01T00:00:00Z"}}) { totalCount } }',
        "{ calls(filter: {startedAt: {gte: 5}}) { totalCount } }",
        '{ calls(filter: {amount: {gt: "1"}}) { totalCount } }',
        '{ calls(filter: {amount: {gt: "1e3"}, currency: {eq: "USD"}}) { totalCount } }',
        '{ calls(filter: {or: [{currency: {eq: "USD"}}, {amount: {gt: "1"}}]}) { totalCount } }',
        "{ calls(filter: {inputTokens: {gt: 3000000000}}) { totalCount } }",
        "{ calls(orderBy: [{field: LATENCY}]) { totalCount } }",
        '{ calls(orderBy: [{field: AMOUNT}], filter: {startedAt: {gte: "2026-11-01T00:00:00Z"}}) { totalCount } }',
        "{ calls(orderBy: [{field: STARTED_AT}, {field: STARTED_AT, direction: ASC}]) { totalCount } }",
    ],
)
async def test_what_cannot_be_used_is_bad_user_input(seeded: SeededLedger, query: str) -> None:
    """Page sizes, cursors, nulls, ids, moments, numbers and orders that cannot be used have one code."""
    assert await seeded.code(query) == "BAD_USER_INPUT"


async def test_nulls_and_wrong_values_by_variable(seeded: SeededLedger) -> None:
    """What a variable brings is held to the same."""
    query = "query($f: CallFilter, $n: Int) { calls(filter: $f, first: $n) { totalCount } }"
    for wrong in (
        {"f": {"not": {"model": {"ne": None}}}},
        {"f": {"startedAt": {"lt": "yesterday"}}},
        {"f": {"amount": {"eq": 0.1}, "currency": {"eq": "USD"}}},
        {"f": {"user": {"id": "a", "pseudonym": []}}},
        {"f": {"nonsense": 1}},
        {"n": "five"},
    ):
        assert await seeded.code(query, variables=wrong) == "BAD_USER_INPUT", wrong
    assert (await seeded.data(query, variables={"n": None}))["calls"]["totalCount"] == 8


async def test_filters_are_bounded(seeded: SeededLedger) -> None:
    """Nesting, comparisons and lists have an end."""
    query = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    deep: dict[str, Any] = {"model": {"eq": "x"}}
    for _ in range(3):
        deep = {"not": deep}
    assert (await seeded.data(query, variables={"f": deep}))["calls"]["totalCount"] == 8
    wide = {"or": [{"model": {"eq": "x"}}] * 51}
    many = {"model": {"in": ["x"] * 1001}}
    for filter_ in ({"not": deep}, wide, many):
        assert await seeded.code(query, variables={"f": filter_}) == "BAD_USER_INPUT"


async def test_a_cursor_is_good_for_its_own_query_only(seeded: SeededLedger) -> None:
    """Another filter, order or list, and any changed bit of the cursor, are refused."""
    query = """query($f: CallFilter, $o: [CallOrder!], $a: String) {
      calls(first: 2, filter: $f, orderBy: $o, after: $a) { edges { cursor } } }"""
    cursor = (await seeded.data(query))["calls"]["edges"][1]["cursor"]
    again = (await seeded.data(query))["calls"]["edges"][1]["cursor"]
    assert cursor == again
    assert len((await seeded.data(query, variables={"a": cursor}))["calls"]["edges"]) == 2
    for changed in ({"f": {"model": {"ne": "x"}}}, {"o": [{"field": "STARTED_AT", "direction": "ASC"}]}):
        assert await seeded.code(query, variables={"a": cursor, **changed}) == "BAD_USER_INPUT"
    errors = "query($a: String) { errors(after: $a) { totalCount } errorGroups(after: $a) { totalCount } }"
    result = await seeded.ask(errors, variables={"a": cursor})
    assert {error.extensions["code"] for error in result.errors} == {"BAD_USER_INPUT"}
    sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for index in range(0, len(sealed) * 8, 5):
        flipped = bytearray(sealed)
        flipped[index // 8] ^= 1 << index % 8
        text = base64.urlsafe_b64encode(flipped).decode().rstrip("=")
        assert await seeded.code(query, variables={"a": text}) == "BAD_USER_INPUT"
    for text in (cursor + "=", cursor + "A", cursor[:-1], cursor[:-1] + "\n", "é" + cursor, cursor.swapcase()):
        assert await seeded.code(query, variables={"a": text}) == "BAD_USER_INPUT"


async def test_a_cursor_says_nothing(seeded: SeededLedger) -> None:
    """What is in a cursor cannot be read from it."""
    data = await seeded.data("{ calls { edges { cursor node { id } } } }")
    for edge in data["calls"]["edges"]:
        assert b"[" not in base64.urlsafe_b64decode(edge["cursor"] + "==")[:1]
        assert edge["node"]["id"] not in edge["cursor"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ calls { nodes { id } } } # " + "a b " * 3, None),
        ("{ " + "a " * 3000 + "}", "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ calls { nodes { nonsense } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ calls(orderBy: [{field: NONSENSE}]) { totalCount } }", "BAD_USER_INPUT"),
        ("query($a: Nonsense) { viewer { role } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer { role } ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + " ".join(f"a{n}: viewer {{ role }}" for n in range(31)) + " }", "MAX_COST_EXCEEDED"),
        (
            "{ errors { nodes { call { error { call { error { call { error { call { error { id } } } } } } } } } } }",
            "QUERY_TOO_DEEP",
        ),
        (
            (
                "{ errors { ...A } } fragment A on CallErrorConnection { nodes { ...B } } "
                "fragment B on CallError { call { error { ...C } } } "
                "fragment C on CallError { call { error { ...D } } } "
                "fragment D on CallError { call { error { call { id error { id } } } } }"
            ),
            "QUERY_TOO_DEEP",
        ),
    ],
)
async def test_every_refusal_has_its_code(seeded: SeededLedger, query: str, code: str | None) -> None:
    """Syntax, validation, depth, aliases and size are each refused before anything runs."""
    result = await seeded.ask(query)
    if code is None:
        assert result.errors is None
    else:
        assert result.data is None
        assert {error.extensions["code"] for error in result.errors} == {code}


async def test_cost_is_bounded_before_execution(seeded: SeededLedger) -> None:
    """An operation over the limit does not run; one under it is told what it cost."""
    query = "{ calls(first: 200) { nodes { id model error { message call { id } } } } }"
    refused = await seeded.ask(query, max_cost=500)
    assert refused.errors[0].extensions["code"] == "MAX_COST_EXCEEDED"
    assert refused.extensions["cost"]["requestedQueryCost"] > 500
    assert refused.extensions["cost"]["actualQueryCost"] is None
    allowed = await seeded.ask(
        "query($n: Int) { calls(first: $n) { nodes { id } } }", variables={"n": 200}, max_cost=500
    )
    cost = allowed.extensions["cost"]
    assert cost["actualQueryCost"] < cost["requestedQueryCost"] < 500


async def test_a_negative_page_earns_nothing(seeded: SeededLedger) -> None:
    """A page of minus a million costs no less than one of nothing, and fills no bucket."""
    bucket = Bucket(1000)
    result = await seeded.ask("{ calls(first: -1000000) { nodes { id model } } }", bucket=bucket)
    assert result.errors[0].extensions["code"] == "BAD_USER_INPUT"
    assert 0 < result.extensions["cost"]["requestedQueryCost"] < 100
    assert bucket.available <= 1000


async def test_doubling_fragments_are_cheap_to_refuse(seeded: SeededLedger) -> None:
    """Fragments that spread fragments twice, forty times over, are neither walked nor answered at length."""
    spread = " ".join(f"fragment F{n} on Call {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    query = f"{{ calls {{ nodes {{ ...F0 }} }} }} {spread} fragment F40 on Call {{ id }}"
    result = await seeded.ask(query)
    assert result.errors is None
    assert len(result.data["calls"]["nodes"]) == 8


async def test_the_standard_introspection_is_allowed(seeded: SeededLedger) -> None:
    """Tools read the schema; endless introspection is refused."""
    from graphql import get_introspection_query

    result = await seeded.ask(get_introspection_query(), max_cost=10_000)
    assert result.errors is None
    nested = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"
    assert await seeded.code(nested) == "GRAPHQL_VALIDATION_FAILED"


async def test_a_spent_bucket_throttles(seeded: SeededLedger) -> None:
    """What is left does not pay for the operation: THROTTLED, and nothing runs."""
    bucket = Bucket(100)
    assert await bucket.take(95)
    result = await seeded.ask("{ calls { totalCount } }", bucket=bucket)
    assert (result.data, result.errors[0].extensions["code"]) == (None, "THROTTLED")
    limit = await seeded.ask("{ viewer { rateLimit { limit remaining } } }", bucket=Bucket(100))
    assert limit.data["viewer"]["rateLimit"]["limit"] == 100


async def test_a_slow_statement_is_a_timeout(database_url: str, tmp_path: Path) -> None:
    """The statement timeout stands behind everything, and has its own code."""
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put([StoredCall(now, source_id=str(n)) for n in range(3)])
        async with seeded.database.reading(None) as connection:
            await connection.execute("SET statement_timeout = 400")
        lock = await seeded.database.owner.acquire()
        transaction = lock.transaction()
        await transaction.start()
        await lock.execute("LOCK TABLE call IN ACCESS EXCLUSIVE MODE")
        try:
            assert await seeded.code("{ calls { totalCount } }") == "TIMEOUT"
        finally:
            await transaction.rollback()
            await seeded.database.owner.release(lock)


async def test_what_goes_wrong_here_is_masked(
    seeded: SeededLedger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unexpected failure is INTERNAL with a request id; neither answer nor log holds what was asked or why."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("canary-reason")

    monkeypatch.setattr(type(seeded.reader), "page", broken)
    result = await seeded.ask('{ calls(filter: {user: {id: "canary-user"}}) { totalCount } }')
    [error] = result.errors
    assert error.extensions == {"code": "INTERNAL", "requestId": "test"}
    written = json.dumps(error.formatted) + "".join(capsys.readouterr()) + caplog.text
    assert "canary" not in written


async def test_refusals_are_not_logged_with_their_values(
    seeded: SeededLedger, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A filter that is refused does not bring its values into the log."""
    caplog.set_level("DEBUG")
    await seeded.ask('{ calls(filter: {user: {id: "canary", isNull: true}}) { totalCount } }')
    await seeded.ask("query($f: CallFilter) { calls(filter: $f) { totalCount } }", variables={"f": {"user": "canary"}})
    await seeded.ask('{ calls(filter: {user: {id: "canary"}}) { totalCount } }', seeded.scope(Role.VIEWER))
    await seeded.ask('{ calls(filter: {startedAt: {eq: "canary"}}) { nodes { canary } } }')
    assert "canary" not in "".join(capsys.readouterr()) + caplog.text
