"""The forms that clients send: filters as input objects, explicit nulls, lists, enums, and cursors of pages before."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from compiled_operations import COMPILED, ORDINARY, answer_bytes
from graphql import OperationDefinitionNode, parse
from graphql.execution.values import get_variable_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.policy.model import Role
from service.api.compiled.forms import VALUES_MAX, Placeholder, Variables

NODE = "id startedAt model status amount { amount currency __typename } __typename"
DOCUMENTS = [
    f"query($f: CallFilter) {{ calls(first: 3, filter: $f) {{ nodes {{ {NODE} }} pageInfo {{ endCursor }} }} }}",
    f"""query($count: Int = 4, $cursor: String, $f: CallFilter, $order: [CallOrder!], $all: Boolean! = true) {{
      calls(first: $count, after: $cursor, filter: $f, orderBy: $order) {{
        edges {{ node {{ {NODE} }} cursor __typename }}
        pageInfo {{ startCursor endCursor hasNextPage hasPreviousPage __typename }}
        totalCount @include(if: $all) __typename
      }}
    }}""",
    """query($f: CallFilter, $status: CallStatusFilter, $model: StringFilter!, $size: Int) {
      calls(filter: {and: [$f, {status: $status}], model: $model}, last: $size) { nodes { id model } }
      more: calls(filter: {or: [{model: $model}, {not: $f}]}) { totalCount }
    }""",
    """query($f: ErrorFilter, $cursor: String) {
      errors(first: 2, filter: $f, after: $cursor) { edges { cursor node { id type } } pageInfo { endCursor } }
    }""",
]


@pytest.fixture(scope="function")
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put(
            StoredCall(
                now - timedelta(minutes=1 + 7 * index),
                account=("acme", "globex")[index % 2],
                source_id=f"s{index}",
                model=("gpt-4o", "o3", "ä")[index % 3],
                failed=index % 4 == 0,
                user=("jane", None)[index % 2],
                tags={"team": "search"} if index % 5 else None,
                error=StoredError() if index % 4 == 0 else None,
            )
            for index in range(40)
        )
        yield seeded


class Draws:
    """Draws variables; the same structure with other values by `values` alone."""

    def __init__(self, structure: int, values: int, cursors: list[str], ids: list[str], moments: list[str]) -> None:
        self._structure, self._values = random.Random(structure), random.Random(values)
        self._cursors, self._ids, self._moments = cursors, ids, moments

    def variables(self) -> dict[str, Any]:
        """Of every name that a document may declare, some missing and some null."""
        makers = {
            "f": lambda: self.filter(0),
            "status": self.status,
            "model": self.text,
            "count": lambda: self._one_of([1, 3, 200, 0]),
            "size": lambda: self._one_of([2, 5]),
            "cursor": lambda: self._one_of([*self._cursors, "none"]),
            "order": lambda: self._pick([[], [{"field": "STARTED_AT", "direction": "ASC"}], [{"field": "LATENCY"}]]),
            "all": lambda: self._pick([True, False]),
        }
        drawn = {name: self._or_null(make) for name, make in makers.items()}
        return {name: value for name, value in drawn.items() if self._structure.random() < 0.85}

    def filter(self, depth: int) -> dict[str, Any]:
        """A filter, fields in any order."""
        makers = {
            "account": self.text,
            "startedAt": lambda: {self._pick(["lt", "gte"]): self._one_of(self._moments)},
            "model": self.text,
            "status": self.status,
            "inputTokens": lambda: {self._pick(["gt", "lt", "eq"]): self._one_of([0, 5, 10**6, "5", 1.5])},
            "id": lambda: {"in": [self._one_of(self._ids) for _ in range(self._pick([0, 1, 3]))]},
            "tags": lambda: [{"key": self._one_of(["team", "x"]), "value": self._or_null(self.text)}],
            "user": lambda: self._pick([{"isNull": True}, {"id": self._one_of(["jane", "joe"])}]),
            "and": lambda: [self.filter(depth + 1) for _ in range(self._pick([1, 2]))],
            "not": lambda: self.filter(depth + 1),
            "nonsense": lambda: 1,
        }
        names = [name for name in makers if self._structure.random() < (0.02 if name == "nonsense" else 0.25)]
        names = [name for name in names if depth < 2 or name not in ("and", "not")]
        self._structure.shuffle(names)
        return {name: self._or_null(makers[name]) for name in names}

    def status(self) -> dict[str, Any]:
        """How calls ended; which enum value it is belongs to the structure."""
        return self._pick([{"eq": "FAILED"}, {"ne": "FAILED"}, {"in": ["SUCCEEDED"]}, {"in": []}, {"eq": "lost"}])

    def text(self) -> dict[str, Any]:
        """A comparison of text."""
        texts = ["gpt-4o", "o3", "acme", "ä", "", "\x00", "<0>"]
        lists = {name: [self._one_of(texts) for _ in range(self._pick([0, 1, 2]))] for name in ("in", "notIn")}
        ones = {name: self._one_of(texts) for name in ("eq", "ne", "contains", "startsWith")}
        chosen = self._structure.sample([*lists.items(), *ones.items(), ("isNull", self._one_of([True, False]))], 2)
        return dict(chosen[: self._pick([1, 1, 2])])

    def _or_null(self, make: Any) -> Any:
        null = self._structure.random() < 0.1
        made = make()
        return None if null else made

    def _pick(self, choices: list[Any]) -> Any:
        return self._structure.choice(choices)

    def _one_of(self, choices: list[Any]) -> Any:
        return self._values.choice(choices)


async def _cursors(seeded: SeededLedger, scope: Any, document: str, variables: dict[str, Any]) -> list[str]:
    data = orjson.loads(await answer_bytes(seeded, ORDINARY, scope, document, variables))[0] or {}
    pages = [page for page in data.values() if isinstance(page, dict)]
    return [page["pageInfo"]["endCursor"] for page in pages if (page.get("pageInfo") or {}).get("endCursor")]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.sampled_from(DOCUMENTS), structure=st.integers(0, 2**32), role=st.sampled_from(list(Role)))
async def test_every_form_is_answered_alike(seeded: SeededLedger, which: str, structure: int, role: Role) -> None:
    """A form that was asked before answers other values as the ordinary path does, to the byte; so do pages behind the
    cursors of pages before, whichever path made the cursor.
    """
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(role, *([number] if structure % 2 else []))
    data = await seeded.data("{ calls(first: 3) { nodes { id startedAt } } }")
    ids, moments = ([node[name] for node in data["calls"]["nodes"]] for name in ("id", "startedAt"))
    cursors: list[str] = []
    for values in range(4):
        draws = Draws(structure, values // 2, cursors[-1:], ids, moments)
        variables = draws.variables()
        ordinary = await answer_bytes(seeded, ORDINARY, scope, which, variables)
        assert await answer_bytes(seeded, COMPILED, scope, which, variables) == ordinary, variables
        assert await answer_bytes(seeded, COMPILED, scope, which, variables) == ordinary, variables
        cursors += await _cursors(seeded, scope, which, variables)


def _read(variables: dict[str, Any]) -> Any:
    return _variables().read(variables)


def _variables() -> Variables:
    schema = COMPILED._schema
    operation = _operation()
    return Variables(schema, operation.variable_definitions or (), ["all"])


def _operation() -> OperationDefinitionNode:
    operation = parse(DOCUMENTS[1]).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def test_a_form_is_all_but_the_values() -> None:
    """Other values are the same form; another field, order of fields, null, enum value, length or flag is another."""
    base = {"f": {"model": {"in": ["a", "b"]}, "status": {"eq": "FAILED"}}, "all": True}
    given = _read(base)
    assert list(given.values) == ["a", "b"]
    reader = _variables()
    same = [{**base, "f": {**base["f"], "model": {"in": ["x", ""]}}}, {**base, "undeclared": 1}]
    others: list[dict[str, Any]] = [
        {**base, "f": {**base["f"], "model": {"in": ["a"]}}},
        {**base, "f": {**base["f"], "model": {"notIn": ["a", "b"]}}},
        {**base, "f": {**base["f"], "model": None}},
        {**base, "f": {**base["f"], "status": {"eq": "SUCCEEDED"}}},
        {**base, "f": dict(reversed(base["f"].items()))},
        {**base, "all": False},
        {**base, "cursor": None},
        {"f": base["f"]},
        {"all": True},
    ]
    form = reader.read(base)
    assert form is not None
    assert [found and found.form == form.form for found in map(reader.read, same)] == [True, True]
    forms = {found.form for found in map(reader.read, others) if found}
    assert len(forms) == len(others)
    assert form.form not in forms


@pytest.mark.parametrize(
    "variables",
    [
        {"f": {"model": {"in": "a"}}},
        {"f": {"model": {"in": ["a"] * (VALUES_MAX + 1)}}},
        {"f": {"and": [{"model": {"eq": "a"}}] * (VALUES_MAX + 1)}},
        {"f": {"inputTokens": {"eq": 2**31}}},
        {"f": {"nonsense": 1}},
        {"f": []},
        {"order": [{"field": 3}]},
        {"all": 1},
    ],
)
def test_what_is_not_usual_has_no_form(variables: dict[str, Any]) -> None:
    """Single entries for lists, many values and mistakes are left to graphql-core, before much of them is read."""
    assert _variables().read(variables) is None


def test_values_are_marked_where_they_stand() -> None:
    """What graphql-core made of the variables keeps its defaults and enums, with a placeholder for each value."""
    given = {"f": {"not": {"model": {"in": ["a", "b"]}}, "status": {"eq": "FAILED"}, "startedAt": None}, "cursor": "c"}
    operation = _operation()
    coerced = get_variable_values(COMPILED._schema, operation.variable_definitions or (), given)
    assert not isinstance(coerced, list)
    marked = _variables().marked(given, coerced.coerced)
    assert marked["f"]["not"] == {"model": {"in": [Placeholder(1), Placeholder(2)]}}
    assert marked["f"]["status"] == coerced.coerced["f"]["status"]
    assert marked["f"]["startedAt"] is None
    assert (marked["cursor"], marked["count"]) == (Placeholder(0), 4)
