"""Writes operations of the kind that compiled operations cover: lists of calls and errors, asked in every form."""

import random
from typing import Any

import orjson
from rows import SeededLedger

from service.api.schema import build_schema
from service.query.model.fields import CALL, CALL_ERROR, TYPES
from service.query.model.scope import Scope

ORDINARY = build_schema(compiled=False)
COMPILED = build_schema()

ROWS = {"Call": CALL, "CallError": CALL_ERROR}
SCALARS = {
    type_: [*(name for name, field in fields.items() if field.bare_type not in TYPES), "__typename"]
    for type_, fields in ROWS.items()
}
PARTS = {
    type_: {name: (field.bare_type, [*field.parts, "__typename"]) for name, field in fields.items() if field.parts}
    for type_, fields in ROWS.items()
}
OTHERS = {
    type_: [(name, field.relation.type) for name, field in fields.items() if field.relation]
    for type_, fields in ROWS.items()
}
INFO = ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename"]
CALL_FILTERS = [
    '{account: {eq: "acme"}}',
    '{account: {in: ["acme", "nobody"]}, status: {eq: FAILED}}',
    '{startedAt: {gte: "2026-01-01T00:00:00Z"}, model: {eq: $text}}',
    "{startedAt: {lt: $moment}}",
    "{and: [{startedAt: {gte: $moment}}, {not: {provider: {eq: $text}}}]}",
    "{or: [{inputTokens: {gt: 5}}, {apiKey: {isNull: $flag}}]}",
    "{tags: [{key: $text}]}",
    '{amount: {gt: "0"}, currency: {eq: "USD"}}',
    '{amount: {gt: "0"}}',
    "{latencyMs: {gte: $whole}}",
    "{id: {in: $ids}}",
    "{user: {isNull: $flag}}",
    "{isCorrection: {eq: $flag}}",
    "{or: [{traceId: {eq: $text}}, {attempt: {gt: 1}}, {cacheHit: {eq: $flag}}]}",
    '{user: {id: "gpt-4o"}}',
    "{model: {in: []}}",
    "{provider: {eq: null}}",
    "{model: $model}",
    "$calls",
]
ERROR_FILTERS = [
    '{account: {eq: "acme"}}',
    "{occurredAt: {lt: $moment}}",
    '{type: {in: ["RateLimitError", "x"]}}',
    '{redactedBy: {eq: "email"}}',
    "{code: {isNull: $flag}}",
    "{not: {model: {eq: $text}}}",
]
TYPES = {
    "text": "String!",
    "moment": "DateTime!",
    "flag": "Boolean!",
    "whole": "Int!",
    "ids": "[ID!]!",
    "model": "StringFilter!",
    "calls": "CallFilter",
    "size": "Int",
    "after": "String",
    "order": "[CallOrder!]",
    "direction": "OrderDirection!",
    "yes": "Boolean!",
    "no": "Boolean",
}
DEFAULTS = {
    "text": '"claude ä"',
    "moment": '"2026-06-01T00:00:00Z"',
    "flag": "false",
    "whole": "0",
    "ids": "[]",
    "model": '{startsWith: "g"}',
    "size": "3",
    "order": "[{field: STARTED_AT, direction: ASC}]",
    "direction": "ASC",
    "yes": "true",
    "no": "false",
}


async def answer_bytes(
    seeded: SeededLedger, schema: Any, scope: Scope, query: str, variables: dict[str, Any], name: Any = None
) -> bytes:
    """Everything that a client gets."""
    context = seeded.context(scope)
    result = await schema.execute(query, variable_values=dict(variables), context_value=context, operation_name=name)
    errors = [error.formatted for error in result.errors or []]
    return orjson.dumps([result.data, errors, result.extensions, context.http_headers])


async def same_answer(
    seeded: SeededLedger, scope: Scope, query: str, variables: dict[str, Any], name: Any = None
) -> bool:
    """Both paths agree; whether the compiled one had an answer."""
    compiled = COMPILED.compiled
    assert compiled is not None
    ordinary = await answer_bytes(seeded, ORDINARY, scope, query, variables, name)
    await answer_bytes(seeded, COMPILED, scope, query, variables, name)
    before = compiled.answered
    answer = await answer_bytes(seeded, COMPILED, scope, query, variables, name)
    assert answer == ordinary, (query, variables, scope.role)
    return compiled.answered > before


class Writer:
    """One operation: `query`, its `variables`, and its `name` where it has to be told from others."""

    def __init__(self, draw: random.Random, ids: list[str]) -> None:
        self._draw = draw
        self._ids = ids
        self._used: set[str] = set()
        self._fragments: list[str] = []
        roots = [self._root(index) for index in range(draw.choice([1, 1, 1, 2]))]
        if draw.random() < 0.1:
            roots.insert(0, "__typename")
        self.variables: dict[str, Any] = {}
        declared = [self._declared(name) for name in sorted(self._used)]
        head = f"query Q({', '.join(declared)})" if declared else "query Q"
        self.query = "\n".join([f"{head} {{ {' '.join(roots)} }}", *self._fragments])
        self.name = draw.choice([None, "Q"])
        if draw.random() < 0.1:
            self.query += "\nquery R { __typename }"
            self.name = "Q"

    def _declared(self, name: str) -> str:
        text = f"${name}: {TYPES[name]}"
        default = name in DEFAULTS and self._draw.random() < 0.4
        optional = default or not TYPES[name].endswith("!")
        if not (optional and self._draw.random() < 0.5):
            self.variables[name] = self._value(name)
        return f"{text} = {DEFAULTS[name]}" if default else text

    def _value(self, name: str) -> Any:
        draw = self._draw
        values: dict[str, list[Any]] = {
            "text": ["gpt-4o", "claude ä", "team", "", "\x00", "\u2028"],
            "moment": ["2026-11-01T00:00:00Z", "2030-01-01t00:00:00.123+05:30", "1990-01-01T00:00:00Z"],
            "flag": [True, False],
            "whole": [0, 7, -5, 2**31 - 1, 1.0],
            "ids": [self._ids[:1], self._ids[:2], [], "call_nothing", self._ids[0]],
            "model": [{"eq": "gpt-4o"}, {"contains": "a", "ne": "b"}, {"in": ["gpt-4o"]}, {"eq": None}],
            "calls": [{"account": {"eq": "acme"}}, {"status": {"ne": "FAILED"}}, {}, None],
            "size": [1, 3, 50, 200, None, 0, 201],
            "after": [None, None, "nothing"],
            "order": [
                None,
                [],
                [{"field": "STARTED_AT"}],
                {"field": "STARTED_AT", "direction": "ASC"},
                [{"field": "LATENCY"}],
            ],
            "direction": ["ASC", "DESC"],
            "yes": [True, False],
            "no": [True, False],
        }
        # Now and then a value of another type: both paths must refuse it alike.
        return draw.choice(values[name]) if draw.random() < 0.97 else draw.choice([[], {}, 3.5, None, "?", True])

    def _use(self, text: str) -> str:
        for name in TYPES:
            if f"${name}" in text.replace("}", " ").replace(")", " ").replace("]", " ").replace(",", " ").split(" "):
                self._used.add(name)
        return text

    def _root(self, index: int) -> str:
        field = self._draw.choice(["calls", "calls", "errors"])
        alias = self._draw.choice(["", "page: "]) if index == 0 else "second: "
        return f"{alias}{field}{self._arguments(field)}{self._connection(field)}"

    def _arguments(self, field: str) -> str:
        draw = self._draw
        given = []
        if draw.random() < 0.7:
            given.append(f"filter: {draw.choice(CALL_FILTERS if field == 'calls' else ERROR_FILTERS)}")
        if draw.random() < 0.6:
            given.append(draw.choice(["first: 3", "first: $size", "last: 2", "first: 0", "last: $size", "first: 40"]))
        if draw.random() < 0.15:
            given.append(draw.choice(["after: $after", 'before: "x"']))
        if field == "calls" and draw.random() < 0.3:
            given.append(
                "orderBy: "
                + draw.choice(["$order", "[{field: STARTED_AT, direction: $direction}]", "{field: LATENCY}", "null"])
            )
        return self._use(f"({', '.join(given)})") if given else ""

    def _directive(self) -> str:
        draw = self._draw
        if draw.random() < 0.85:
            return ""
        return self._use(
            draw.choice([" @include(if: $yes)", " @skip(if: $yes)", " @skip(if: false)", " @include(if: true)"])
        ).replace("$yes)", "$yes)")

    def _some(self, names: list[str]) -> list[str]:
        return self._draw.sample(names, self._draw.randint(1, min(len(names), 8)))

    def _connection(self, field: str) -> str:
        draw = self._draw
        type_, prefix = ("Call", "Call") if field == "calls" else ("CallError", "CallError")
        parts = []
        for _ in range(draw.randint(1, 3)):
            match draw.randint(0, 5):
                case 0 | 1:
                    parts.append(f"nodes{self._directive()} {self._object(type_, 0)}")
                case 2 | 3:
                    edge = draw.sample(["cursor", f"node {self._object(type_, 0)}", "__typename"], draw.randint(1, 3))
                    parts.append(f"edges {{ {' '.join(edge)} }}")
                case 4:
                    parts.append(f"pageInfo {{ {' '.join(self._some(INFO))} }}")
                case _:
                    parts.append(draw.choice(["totalCount", "n: totalCount", "__typename"]))
        if draw.random() < 0.15:
            parts = [f"... on {prefix}Connection{self._directive()} {{ {' '.join(parts)} }} __typename"]
        return f" {{ {' '.join(parts)} }}"

    def _object(self, type_: str, depth: int) -> str:
        draw = self._draw
        entries = []
        for name in self._some(SCALARS[type_]):
            alias = f"a{draw.randint(0, 9)}_{name.strip('_')}: " if draw.random() < 0.1 else ""
            entries.append(f"{alias}{name}{self._directive()}")
        for name, (part, fields) in PARTS[type_].items():
            if draw.random() < 0.25:
                asked = " ".join(self._some(fields))
                inner = f"... on {part} {{ {asked} }}" if draw.random() < 0.2 else asked
                entries.append(f"{name}{self._directive()} {{ {inner} }}")
        field, other = draw.choice(OTHERS[type_])
        if depth < 2 and draw.random() < 0.4:
            entries.append(f"{field}{self._directive()} {self._object(other, depth + 1)}")
            if draw.random() < 0.2:
                entries.append(f"again: {field} {self._object(other, depth + 1)}")
        if draw.random() < 0.2:
            cut = draw.randrange(len(entries))
            entries[cut:] = [self._fragment(type_, entries[cut:])]
        draw.shuffle(entries)
        return f"{{ {' '.join(entries)} }}"

    def _fragment(self, type_: str, entries: list[str]) -> str:
        body = " ".join(entries)
        match self._draw.randint(0, 3):
            case 0:
                return f"...{self._directive()} {{ {body} }}"
            case 1:
                return f"... on {type_}{self._directive()} {{ {body} }}"
            case 2:
                return f"... on Node {{ id }} {body}"
            case _:
                name = f"F{len(self._fragments)}"
                self._fragments.append(f"fragment {name} on {type_} {{ {body} }}")
                return f"...{name}{self._directive()}"
