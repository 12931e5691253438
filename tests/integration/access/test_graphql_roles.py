"""Every role against the whole schema: denied is refused, masked is masked, and filters are no oracle."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails, Parameter, ParameterAction
from policies.policy import views
from policies.policy.fields import DATA_FIELDS, SEALED
from policies.policy.model import DataClass, Role, RoleRule, View
from service.api.schema import build_schema
from service.query.model.scope import Scope

SCHEMA = build_schema()._schema
USER = "Call.user"
# How each data type is reached from the root.
PATHS = {
    "Call": "{{ calls {{ nodes {{ {} }} }} }}",
    "Amount": "{{ calls {{ nodes {{ amount {{ {} }} }} }} }}",
    "AmountPart": "{{ calls {{ nodes {{ amountParts {{ {} }} }} }} }}",
    "Tag": "{{ calls {{ nodes {{ tags {{ {} }} }} }} }}",
    "Unit": "{{ calls {{ nodes {{ units {{ {} }} }} }} }}",
    "CallError": "{{ errors {{ nodes {{ {} }} }} }}",
    "ErrorParameter": "{{ errors {{ nodes {{ parameters {{ {} }} }} }} }}",
    "Redaction": "{{ errors {{ nodes {{ redactions {{ {} }} }} }} }}",
    "ErrorGroup": "{{ errorGroups {{ nodes {{ {} }} }} }}",
    "ErrorGroupBucket": "{{ errorGroups(bucket: DAY) {{ nodes {{ buckets {{ {} }} }} }} }}",
    "CostReport": "{{ costs {{ {} }} }}",
    "CostCoverage": "{{ costs {{ coverage {{ {} }} }} }}",
    "CostRow": "{{ costs {{ rows {{ {} }} }} }}",
    "CostFigures": "{{ costs {{ totals {{ {} }} }} }}",
    "CostKey": "{{ costs(groupBy: [MODEL]) {{ rows {{ key {{ {} }} }} }} }}",
    "Money": "{{ costs {{ rows {{ amount {{ {} }} }} }} }}",
    "Percentiles": "{{ costs {{ rows {{ latencyMs {{ {} }} }} }} }}",
    "Facets": "{{ facets {{ {} }} }}",
    "TagFacet": "{{ facets {{ tags {{ {} }} }} }}",
    "FacetValue": "{{ facets {{ models {{ {} }} }} }}",
}
PARENTS = {
    "Amount": ["Call.amount"],
    "AmountPart": ["Call.amountParts"],
    "Tag": ["Call.tags"],
    "Unit": ["Call.units"],
    "ErrorParameter": ["CallError.parameters"],
    "Redaction": ["CallError.redactions"],
    "ErrorGroupBucket": ["ErrorGroup.buckets", "Call.startedAt", "CostKey.bucketStart", "CostKey.bucketEnd"],
    "CostCoverage": ["CostReport.coverage"],
    "CostRow": ["CostReport.rows"],
    "CostFigures": ["CostReport.totals"],
    "CostKey": ["CostReport.rows", "CostRow.key"],
    "Money": ["CostReport.rows", "CostRow.amount"],
    "Percentiles": ["CostReport.rows", "CostRow.latencyMs"],
    "TagFacet": ["Facets.tags"],
    "FacetValue": ["Facets.models"],
}
ROOTS = {
    "CallError": "errors",
    "ErrorParameter": "errors",
    "Redaction": "errors",
    "ErrorGroup": "errorGroups",
    "ErrorGroupBucket": "errorGroups",
}


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        call = StoredCall(
            await seeded.now() - timedelta(hours=1),
            served_model="canary-served",
            provider="canary-provider",
            operation="canary-operation",
            api_key="canary-key",
            user="canary-user",
            failed=True,
            input_tokens=10,
            output_tokens=5,
            amount=Decimal(1),
            currency="USD",
            amount_source=1,
            amount_parts=[{"meter": "input", "amount": "1"}],
            latency_ms=7,
            tags={"team": "canary-team"},
            trace_id="canary-trace",
            deployment="canary-deployment",
            units={"images": "2"},
            error_type="E",
            error_code="1",
            error=StoredError(
                rules={"email": 1},
                details=ErrorDetails(("hello",), {"n": Parameter(ParameterAction.KEPT, ("1",))}),
            ),
        )
        await seeded.put([call])
        yield seeded


def query_of(field: str) -> str:
    type_, _, name = field.partition(".")
    return PATHS[type_].format(name + below(SCHEMA.type_map[type_], name))


def below(type_: Any, name: str) -> str:
    """A selection of a field that is an object: its first leaf, or down to one."""
    inner = get_named_type(type_.fields[name].type)
    if is_leaf_type(inner):
        return ""
    leaves = [leaf for leaf, field in inner.fields.items() if is_leaf_type(get_named_type(field.type))]
    if leaves:
        return f" {{ {leaves[0]} }}"
    first = next(iter(inner.fields))
    return f" {{ {first}{below(inner, first)} }}"


def touched(field: str) -> list[str]:
    """Every policy field that the query of a field asks for."""
    type_, _, name = field.partition(".")
    chain = [*PARENTS.get(type_, []), field]
    inner = get_named_type(SCHEMA.type_map[type_].fields[name].type)
    while isinstance(inner, GraphQLObjectType):
        leaves = [leaf for leaf, item in inner.fields.items() if is_leaf_type(get_named_type(item.type))]
        first = leaves[0] if leaves else next(iter(inner.fields))
        chain.append(f"{inner.name}.{first}")
        inner = get_named_type(inner.fields[first].type)
    return chain


def test_the_walk_covers_every_field() -> None:
    """Every data field of the policy is in the schema, and the other way round."""
    in_schema = {
        f"{name}.{field}"
        for name, type_ in SCHEMA.type_map.items()
        if name in PATHS and isinstance(type_, GraphQLObjectType)
        for field in type_.fields
    }
    assert in_schema == set(DATA_FIELDS)


@pytest.mark.parametrize("role", list(Role))
async def test_every_field_for_every_role(seeded: SeededLedger, role: Role) -> None:
    """A field is refused by name exactly when the role may not ask the root or is denied the field or one above it."""
    scope = seeded.scope(role, *((await seeded.accounts.find("acme"),) if role is Role.PARTNER else ()))
    for field in DATA_FIELDS:
        root = ROOTS.get(field.partition(".")[0]) or query_of(field).split()[1].partition("(")[0]
        allowed = views.may_ask(seeded.policy, role, root) and all(
            views.view(seeded.policy, role, name) is not View.DENIED for name in touched(field)
        )
        result = await seeded.ask(query_of(field), scope)
        if allowed:
            assert result.errors is None, (field, result.errors)
        else:
            assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"], (field, role)
            assert result.data is None


def _masking(seeded: SeededLedger, *fields: str, view: View = View.MASKED) -> Scope:
    """A viewer for whom these fields are masked or denied by the policy."""
    rule = seeded.policy.roles[Role.VIEWER]
    changed = replace(rule, fields=MappingProxyType({**rule.fields, **dict.fromkeys(fields, view)}))
    policy = replace(seeded.policy, roles=MappingProxyType({**seeded.policy.roles, Role.VIEWER: changed}))
    policy = replace(policy, name=f"masking {view} {' '.join(fields)}")
    return seeded.scope(Role.VIEWER, policy=policy)


async def test_a_masked_text_is_masked_and_anything_else_null(seeded: SeededLedger) -> None:
    """Masked text says that it is, a masked number or object is null, and the value is nowhere in the answer."""
    texts = ["servedModel", "provider", "operation", "apiKey", "errorType", "errorCode"]
    others = ["inputTokens", "latencyMs", "streamed", "tags", "amount", "amountParts", "user", "error"]
    names = [f"Call.{name}" for name in (*texts, *others)]
    scope = _masking(seeded, *names)
    selected = " ".join([*texts, "inputTokens totalTokens tokenEfficiency latencyMs streamed user tags { key value }"])

    data = await seeded.data(
        f"{{ calls {{ nodes {{ {selected} amount {{ amount currency source }} amountParts {{ meter }} "
        "error { id } } } }",
        scope,
    )

    [node] = data["calls"]["nodes"]
    assert "canary" not in str(data)
    for name in texts:
        assert node.pop(name).startswith("[redacted:"), name
    assert all(value is None for value in node.values()), node


async def test_a_masked_part_is_masked(seeded: SeededLedger) -> None:
    """The value of a tag and the currency of an amount can be masked alone."""
    scope = _masking(seeded, "Tag.value", "Amount.currency")
    data = await seeded.data("{ calls { nodes { tags { key value } amount { amount currency } } } }", scope)
    assert data["calls"]["nodes"] == [
        {
            "tags": [{"key": "team", "value": "[redacted:operational]"}],
            "amount": {"amount": "1", "currency": "[redacted:billing]"},
        }
    ]


FILTERS = {
    "Call.sourceId": '{sourceId: {eq: "s"}}',
    "Call.apiKey": '{apiKey: {startsWith: "c"}}',
    "Call.model": '{model: {eq: "x"}}',
    "Call.servedModel": "{servedModel: {isNull: true}}",
    "Call.provider": '{provider: {ne: "x"}}',
    "Call.operation": "{operation: {in: []}}",
    "Call.status": "{status: {eq: FAILED}}",
    "Call.streamed": "{streamed: {isNull: true}}",
    "Call.inputTokens": "{inputTokens: {gt: 1}}",
    "Call.outputTokens": "{outputTokens: {gt: 1}}",
    "Call.totalTokens": "{totalTokens: {gt: 1}}",
    "Call.amount": '{amount: {gt: "1"}, currency: {eq: "USD"}}',
    "Amount.currency": '{currency: {eq: "USD"}}',
    "Call.latencyMs": "{latencyMs: {gt: 1}}",
    "Call.timeToFirstTokenMs": "{timeToFirstTokenMs: {gt: 1}}",
    "Call.errorType": '{errorType: {eq: "x"}}',
    "Call.errorCode": '{errorCode: {eq: "x"}}',
    "Call.tags": '{tags: [{key: "team"}]}',
    "Tag.value": '{tags: [{key: "team", value: {eq: "a"}}]}',
    "Call.account": '{account: {eq: "acme"}}',
    "Call.startedAt": '{startedAt: {gte: "2026-01-01T00:00:00Z"}}',
    "Call.id": "{id: {in: []}}",
}


@pytest.mark.parametrize("view", [View.MASKED, View.DENIED])
@pytest.mark.parametrize("field", FILTERS)
async def test_what_is_not_seen_cannot_be_filtered_by(seeded: SeededLedger, field: str, view: View) -> None:
    """In calls, costs and facets, plainly, nested, by variable, by a default of a variable, and inside a fragment."""
    scope = _masking(seeded, field, view=view)
    filter_ = FILTERS[field]
    for query in (
        f"{{ calls(filter: {filter_}) {{ totalCount }} }}",
        f"{{ calls(filter: {{or: [{{not: {{and: [{filter_}]}}}}]}}) {{ totalCount }} }}",
        f"{{ costs(filter: {filter_}) {{ truncated }} }}",
        f"{{ facets(filter: {filter_}) {{ statuses {{ count }} }} }}",
        (
            f"query($f: CallFilter = {filter_}) {{ ...Q }} "
            "fragment Q on Query { ... { calls(filter: $f) { totalCount } } }"
        ),
    ):
        assert await seeded.code(query, scope) == "FORBIDDEN", query


async def test_variables_are_looked_into(seeded: SeededLedger) -> None:
    """A filter that comes as a variable, whole or in part, is refused as one in the text is."""
    scope = _masking(seeded, "Call.apiKey")
    whole = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    part = "query($s: StringFilter!) { calls(filter: {or: [{apiKey: $s}]}) { totalCount } }"
    inner = "query($f: [CallFilter!]) { calls(filter: {and: $f}) { totalCount } }"
    assert await seeded.code(whole, scope, {"f": {"not": {"apiKey": {"eq": "x"}}}}) == "FORBIDDEN"
    assert await seeded.code(part, scope, {"s": {"eq": "x"}}) == "FORBIDDEN"
    assert await seeded.code(inner, scope, {"f": {"apiKey": {"isNull": True}}}) == "FORBIDDEN"
    assert (await seeded.data(whole, scope, {"f": {"model": {"ne": "x"}}}))["calls"]["totalCount"] == 1


async def test_null_chooses_by_nothing(seeded: SeededLedger) -> None:
    """Who may not filter by a field may leave it null, as clients do that name every field; groups by tags likewise."""
    scope = _masking(seeded, "Call.apiKey", "Call.tags", view=View.DENIED)
    query = """query($f: CallFilter, $g: [String!]) {
        calls(filter: $f) { totalCount } costs(filter: $f, groupByTags: $g) { truncated } }"""
    for filter_ in (None, {"apiKey": None, "tags": None}, {"or": [{"apiKey": None}]}):
        assert (await seeded.data(query, scope, {"f": filter_, "g": None}))["calls"]["totalCount"] == 1
    assert await seeded.code(query, scope, {"f": {"apiKey": {}}}) == "FORBIDDEN"


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("Call.latencyMs", "{ calls(orderBy: [{field: LATENCY}]) { totalCount } }"),
        ("Call.inputTokens", "{ calls(orderBy: [{field: TOTAL_TOKENS}]) { totalCount } }"),
        ("Call.amount", "{ calls(orderBy: [{field: STARTED_AT}, {field: AMOUNT}]) { totalCount } }"),
        ("ErrorGroup.count", "{ errorGroups(orderBy: {field: COUNT}) { totalCount } }"),
        ("Call.apiKey", "{ costs(groupBy: [API_KEY]) { truncated } }"),
        ("Call.provider", "{ costs(groupBy: [MODEL, PROVIDER]) { truncated } }"),
        ("Tag.value", '{ costs(groupByTags: ["team"]) { truncated } }'),
        ("CallError.fingerprint", "{ errors(filter: {fingerprint: {in: []}}) { totalCount } }"),
        ("Redaction.rule", '{ errors(filter: {redactedBy: {eq: "email"}}) { totalCount } }'),
        ("Call.model", '{ errors(filter: {model: {eq: "x"}}) { totalCount } }'),
        ("Call.errorType", '{ errors(filter: {type: {eq: "x"}}) { totalCount } }'),
        ("Call.apiKey", "{ facets { apiKeys { value } } }"),
    ],
)
async def test_nor_ordered_grouped_or_faceted_by(seeded: SeededLedger, field: str, query: str) -> None:
    """Orders, groups and facets tell as much as filters do."""
    code = await seeded.code(query, _masking(seeded, field, view=View.DENIED))
    assert code == "FORBIDDEN"
    code = (await seeded.ask(query, _masking(seeded, field))).errors
    if "facets" not in query:
        assert code is not None
        assert code[0].extensions["code"] == "FORBIDDEN"


async def test_users_are_filtered_by_pseudonym_or_plainly_by_who_may(seeded: SeededLedger) -> None:
    """A masked user can be chosen by pseudonym; by the plain id only where the policy says so."""
    number = await seeded.accounts.find("acme")
    assert number is not None
    seen = await seeded.data("{ calls { nodes { user } } }")
    variables = {"u": [seen["calls"]["nodes"][0]["user"]]}
    pseudonym = "query($u: [ID!]!) { calls(filter: {user: {pseudonym: $u}}) { totalCount nodes { user } } }"
    plain = '{ calls(filter: {user: {id: "canary-user"}}) { totalCount } }'
    partner = seeded.scope(Role.PARTNER, number)

    assert (await seeded.data(pseudonym, partner, variables))["calls"] == {"totalCount": 1, "nodes": [{"user": None}]}
    assert await seeded.code(plain, partner) == "FORBIDDEN"
    assert await seeded.code(plain, seeded.scope(Role.VIEWER)) == "FORBIDDEN"
    assert (await seeded.data(plain, seeded.scope(Role.SUPPORT)))["calls"]["totalCount"] == 1
    assert await seeded.code(pseudonym, _masking(seeded, USER, view=View.DENIED), variables) == "FORBIDDEN"


async def test_skipped_fields_are_not_refused(seeded: SeededLedger) -> None:
    """@skip and @include let one document serve every role; an alias or a fragment hides nothing."""
    scope = _masking(seeded, "Call.apiKey", view=View.DENIED)
    query = """query($may: Boolean!) {
      calls { nodes { model apiKey @include(if: $may) ... @skip(if: true) { k: apiKey } } } }"""
    assert (await seeded.data(query, scope, {"may": False}))["calls"]["nodes"] == [{"model": "gpt-4o"}]
    assert await seeded.code(query, scope, {"may": True}) == "FORBIDDEN"
    for hidden in (
        "{ calls { nodes { model: apiKey } } }",
        "{ calls { edges { node { ...F } } } } fragment F on Call { ... on Node { ... on Call { apiKey } } }",
        '{ node(id: "x") { ... on Call { apiKey } } }',
        "{ errors { nodes { call { apiKey } } } }",
        "{ __typename a: __schema { types { name } } calls { nodes { apiKey } } }",
    ):
        assert await seeded.code(hidden, scope) == "FORBIDDEN", hidden


def _classes() -> Iterator[tuple[str, RoleRule]]:
    yield (
        "see everything",
        RoleRule(
            Role.VIEWER,
            ask=frozenset({"calls", "errors", "errorGroups", "viewer"}),
            see=frozenset(DataClass),
            fields=MappingProxyType(dict.fromkeys(SEALED, View.SEE)),
        ),
    )


@pytest.mark.parametrize(("name", "rule"), list(_classes()))
async def test_sealed_text_stays_masked_for_who_sees_all(seeded: SeededLedger, name: str, rule: RoleRule) -> None:
    """Even a role that is granted everything reads sealed text masked."""
    policy = replace(seeded.policy, name=name, roles=MappingProxyType({Role.VIEWER: rule}))
    scope = seeded.scope(Role.VIEWER, policy=policy)
    assert scope.views["CallError.message"] is View.MASKED
    assert (await seeded.data("{ errors { nodes { message } } }", scope))["errors"]["nodes"] == [{"message": "hello"}]
