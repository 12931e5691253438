"""Inputs that are null or empty: as if not given, but where that would say something else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eight_calls import open_eight_calls
from graphql import is_input_object_type
from rows import SeededLedger
from strawberry.types.base import StrawberryMaybe

from service.api.schema import build_schema
from service.ledger import Ledger


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_eight_calls(database_url, tmp_path) as seeded:
        yield seeded


def _inputs(schema: Any) -> dict[str, Any]:
    return {name: type_ for name, type_ in schema.type_map.items() if is_input_object_type(type_)}


@pytest.mark.parametrize("compiled", [False, True], ids=["ordinary", "compiled"])
async def test_null_is_not_given(seeded: SeededLedger, compiled: bool) -> None:
    """Clients send null for what is not set: an argument or a field of a filter that is null narrows nothing."""
    filter_ = {"model": {"eq": "x"}, "or": [{"provider": {"isNull": True}}], "tags": [{"key": "team"}]}
    nothing: dict[str, Any] = dict.fromkeys(build_schema()._schema.type_map["CallFilter"].fields)
    query = """query($f: CallFilter, $o: [CallOrder!], $n: Int, $c: String, $t: TimeZone, $b: TimeBucket,
          $g: [CostDimension!], $k: [String!], $r: [CostOrder!], $e: ErrorFilter, $p: ErrorOrder) {
        calls(filter: $f, orderBy: $o, first: $n, after: $c, last: $n, before: $c) { totalCount }
        costs(filter: $f, groupBy: $g, groupByTags: $k, bucket: $b, timeZone: $t, orderBy: $r, first: $n) {
          totals { calls } } MORE }"""
    more = """errors(filter: $e, orderBy: $q, first: $n) { totalCount } errorGroups(filter: $e, orderBy: $p) {
        totalCount } facets(filter: $f, first: $n) { statuses { count } }"""
    query = query.replace("MORE", "" if compiled else more).replace(
        "$p: ErrorOrder", "$p: ErrorGroupOrder, $q: [ErrorOrder!]"
    )
    if compiled:
        query = query.replace(", $e: ErrorFilter, $p: ErrorGroupOrder, $q: [ErrorOrder!]", "")
    names = "fonctbgkr" if compiled else "fonctbgkrepq"
    before = build_schema().compiled.answered
    for filled in ({}, nothing, {"not": None, "and": [nothing]}, {"tags": None, "startedAt": {}}):
        data = await seeded.data(query, variables=dict.fromkeys(names) | {"f": filled or None})
        assert (data["calls"]["totalCount"], data["costs"]["totals"][0]["calls"]) == (8, "8")
    for given in ({**nothing, **filter_}, {**filter_, "tags": [{"key": "team", "value": None}]}):
        plain = await seeded.data(query, variables={"f": filter_})
        assert await seeded.data(query, variables=dict.fromkeys(names) | {"f": given}) == plain
    assert (build_schema().compiled.answered > before) is compiled
    literal = "{ calls(filter: {model: null, and: null, tags: null, user: null}, after: null) { totalCount } }"
    assert (await seeded.data(literal))["calls"]["totalCount"] == 8
    assert (await seeded.data("{ calls(filter: null) { totalCount } }"))["calls"]["totalCount"] == 8
    ledger = "query($f: LedgerFilter) { ledger(filter: $f, first: null, after: null) { totalCount } }"
    for empty in (None, {"kind": None, "recordedAt": None, "index": None}):
        result = await seeded.ask(
            ledger, variables={"f": empty}, ledger=Ledger(seeded.database, seeded.keyring, uuid4())
        )
        assert (result.errors, result.data["ledger"]["totalCount"]) == (None, 0)


def test_every_optional_input_takes_null() -> None:
    """No field of any input is typed nullable and refuses null, but equality, whose null would be compared."""
    refusing = {
        field.python_name
        for name, type_ in _inputs(build_schema()._schema).items()
        if name != "UserFilter"  # exactly one of its fields is given
        for field in type_.extensions["strawberry-definition"].fields
        if isinstance(field.type, StrawberryMaybe)
    }
    assert refusing == {"eq", "ne"}


async def test_equality_takes_no_null(seeded: SeededLedger) -> None:
    """`{eq: null}` is BAD_USER_INPUT by literal and by variable: it would be taken for `isNull`, or for no filter."""
    for operator in ("eq", "ne"):
        assert (
            await seeded.code(f"{{ calls(filter: {{model: {{{operator}: null}}}}) {{ totalCount }} }}")
            == "BAD_USER_INPUT"
        )
        query = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
        assert await seeded.code(query, variables={"f": {"model": {operator: None}}}) == "BAD_USER_INPUT"


async def test_every_other_operator_that_is_null_is_not_given(seeded: SeededLedger) -> None:
    """What a search form leaves empty narrows nothing, and what stands beside it holds."""
    query = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    empty = dict.fromkeys(("in", "notIn", "contains", "startsWith", "isNull"))
    bounds = dict.fromkeys(("lt", "lte", "gt", "gte"))
    for filter_, count in (
        ({"model": empty, "status": {"in": None}, "isCorrection": {"isNull": None}}, 8),
        ({"model": {**empty, "eq": "nothing"}}, 0),
        ({"latencyMs": {**bounds, "in": None, "isNull": None}, "totalTokens": bounds, "startedAt": bounds}, 8),
        ({"latencyMs": {**bounds, "gte": 5}}, 3),
        ({"amount": {**bounds, "lt": "3"}, "currency": {"eq": "USD"}}, 3),
        ({"not": {"latencyMs": bounds}}, 0),
    ):
        assert (await seeded.data(query, variables={"f": filter_}))["calls"]["totalCount"] == count, filter_
    literal = "{ calls(filter: {model: {in: null}, latencyMs: {gte: null, lt: 2}}) { totalCount } }"
    assert (await seeded.data(literal))["calls"]["totalCount"] == 2


@pytest.mark.parametrize("compiled", [False, True], ids=["ordinary", "compiled"])
async def test_a_bound_that_is_null_is_open(seeded: SeededLedger, compiled: bool) -> None:
    """`{startedAt: {gte: $a, lt: $b}}` with either, both or neither of them set, on both paths."""
    query = f"""query($a: DateTime, $b: DateTime, $m: [String!]) {{
        calls(filter: {{startedAt: {{gte: $a, lt: $b}}, model: {{in: $m}}}}) {{ totalCount }}
        costs(filter: {{startedAt: {{gte: $a, lt: $b}}, model: {{in: $m}}}}) {{ totals {{ calls }} }}
        {"" if compiled else "viewer { role }"} }}"""
    calls = await seeded.data("{ calls { nodes { startedAt } } }")
    third = calls["calls"]["nodes"][2]["startedAt"]
    before = build_schema().compiled.answered
    for a, b, count in ((None, None, 8), (third, None, 3), (None, third, 5), (third, third, 0), (None, None, 8)):
        for given in ({"a": a, "b": b, "m": None}, {"a": a, "b": b}):
            data = await seeded.data(query, variables=given)
            totals = [row["calls"] for row in data["costs"]["totals"]]
            assert (data["calls"]["totalCount"], totals or ["0"]) == (count, [str(count)]), given
    assert (build_schema().compiled.answered > before) is compiled


async def test_empty_lists_match_nothing(seeded: SeededLedger) -> None:
    """`in: []` and `or: []` match nothing; `notIn: []` and `and: []` leave everything."""
    query = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    for filter_, count in (
        ({"model": {"in": []}}, 0),
        ({"id": {"in": []}}, 0),
        ({"user": {"pseudonym": []}}, 0),
        ({"status": {"in": []}}, 0),
        ({"or": []}, 0),
        ({"model": {"notIn": []}}, 8),
        ({"status": {"notIn": []}}, 8),
        ({"and": []}, 8),
        ({"tags": []}, 8),
        ({"model": {}}, 8),
        ({}, 8),
        ({"not": {}}, 0),
    ):
        assert (await seeded.data(query, variables={"f": filter_}))["calls"]["totalCount"] == count, filter_
