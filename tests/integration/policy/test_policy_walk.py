"""What may not be seen may not be asked about: every filter, operator, order, group, tag, facet and export, for every
role of every shipped policy, and for a role that is masked or denied each field in turn.

Which field a choice tells of is written down here once more, by hand: a table of the service that forgets one is found.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import orjson
import pytest
from graphql import GraphQLEnumType, get_named_type
from http_server import serve
from policy_choices import (
    CANARIES,
    ENUMS,
    FACETS,
    FILTERS,
    HARMLESS,
    LOGIC,
    PLACES,
    SCHEMA,
    canary_call,
    choices,
    used,
)
from rows import SeededLedger, open_seeded
from strawberry.types.execution import ExecutionResult

from policies.policy import views
from policies.policy.document import PRESETS, load_preset
from policies.policy.fields import ACTIONS, DATA_FIELDS, ERROR_RECORD, SEALED, SHOWN_MASKED, USER
from policies.policy.model import Action, Policy, Role, View
from policies.policy.roots import WITHOUT_CALLS
from service.api.exports.kinds import SHAPES, ExportGrouping, all_fields, chosen_fields, shape_of
from service.api.exports.requests import ExportRequest
from service.api.schema import build_schema
from service.api.subscriptions.operation import Asked, begun
from service.commands.data.export_file import admin_scope
from service.export.sources.operation import ExportRefusedError
from service.export.sources.source import open_source
from service.ledger import Ledger
from service.query.model.errors import ForbiddenError
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.storage.control.policies import store_policy
from service.webhooks.addresses import AddressGuard
from service.webhooks.registry import Webhooks


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await seeded.put([await canary_call(seeded)])
        await store_policy(seeded.database.owner, seeded.policy, applied_by="test")
        yield seeded


def altered(policy: Policy, role: Role, field: str, view: View) -> Policy:
    """The policy with one field masked or denied for one role."""
    rule = policy.roles[role]
    changed = replace(rule, fields=MappingProxyType({**rule.fields, field: view}))
    return replace(
        policy, name=f"{policy.name} {role} {field} {view}", roles=MappingProxyType({**policy.roles, role: changed})
    )


def test_the_walk_knows_every_choice() -> None:
    """A filter, an enum or a place to choose that is new to the schema fails here until it is walked too."""
    for input_, fields in FILTERS.items():
        assert set(SCHEMA.type_map[input_].fields) - LOGIC == set(fields), input_
    for enum, values in ENUMS.items():
        assert set(SCHEMA.type_map[enum].values) == set(values), enum
    assert set(SCHEMA.type_map["Facets"].fields) == set(FACETS)
    places = {(type_, root) for type_, roots in PLACES.items() for root in roots}
    found = set()
    for root_type in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type):
        for root, field in (root_type.fields if root_type else {}).items():
            for type_ in used(get_named_type(argument.type) for argument in field.args.values()):
                if type_ in PLACES:
                    found.add((type_, root))
                elif root in {place for _, place in places}:
                    assert not isinstance(SCHEMA.type_map[type_], GraphQLEnumType) or type_ in HARMLESS, type_
    assert found == places


async def forbidden(seeded: SeededLedger, query: str, value: Any, scope: Scope) -> bool:
    if query.startswith("subscription"):
        answer = await begun(build_schema(), Asked(query, {"x": value}, None), seeded.context(scope))
    else:
        ledger = Ledger(seeded.database, seeded.keyring, uuid4())
        services = {"webhooks": Webhooks(seeded.database, seeded.keyring, ledger, AddressGuard())}
        answer = await seeded.ask(query, scope, {"x": value}, ledger=ledger, services=services)
    errors = answer.errors if isinstance(answer, ExecutionResult) else None  # else it is a subscription that may run
    codes = [error.extensions["code"] for error in errors or ()]
    assert "INTERNAL" not in codes, (query, value)
    return "FORBIDDEN" in codes


def allowed(policy: Policy, role: Role, root: str, governed: Sequence[str], query: str = "") -> bool:
    """By the policy's own words, field by field. Whoever exports a list must be able to ask for it too, and what is not
    kept is chosen by nobody."""
    exported = [kind.lower() for kind in re.findall(r"kind: ([A-Z]+)", query)]
    return (
        all(views.may_ask(policy, role, one) for one in (root, *exported))
        and all(
            views.view(policy, role, field) is View.SEE
            or (field == USER and views.view(policy, role, field) is View.MASKED)
            for field in governed
        )
        and not any(policy.action(field) is Action.DROP for field in governed)
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("preset", PRESETS)
async def test_every_choice_of_every_role_under_every_preset(seeded: SeededLedger, preset: str, role: Role) -> None:
    """Refused exactly when the role may not ask the root or does not see all that the choice tells of."""
    policy = load_preset(preset)
    bound = (await seeded.accounts.ensure(["acme"])).values() if role is Role.PARTNER else ()
    scope = seeded.scope(role, *bound, policy=policy)
    for name, governed, root, query, value in choices():
        assert await forbidden(seeded, query, value, scope) is not allowed(policy, role, root, governed, query), name


@pytest.mark.parametrize("view", [View.MASKED, View.DENIED])
async def test_no_choice_by_what_is_taken_away(seeded: SeededLedger, view: View) -> None:
    """Each field masked or denied by itself takes away every choice that tells of it, plain, nested and negated."""
    for name, governed, _, query, value in choices():
        for field in governed:
            if field == USER and view is View.MASKED:
                continue  # by pseudonym, who is masked may be chosen by
            scope = seeded.scope(Role.VIEWER, policy=altered(seeded.policy, Role.VIEWER, field, view))
            assert await forbidden(seeded, query, value, scope), (name, field)
            if isinstance(value, dict):
                assert await forbidden(seeded, query, {"or": [{"not": {"and": [value]}}]}, scope), (name, field)


@pytest.mark.parametrize("role", list(Role))
async def test_viewer_fields_say_the_truth(seeded: SeededLedger, role: Role) -> None:
    """`viewer.fields` lists every data field once, with what the gate does: its view, and whether a choice by it alone
    goes through."""
    bound = (await seeded.accounts.ensure(["acme"])).values() if role is Role.PARTNER else ()
    scope = seeded.scope(role, *bound)
    data = await seeded.data("{ viewer { fields { field view filterable } } }", scope)
    said = {entry["field"]: entry for entry in data["viewer"]["fields"]}

    assert list(said) == list(DATA_FIELDS)
    assert {name: entry["view"] for name, entry in said.items()} == {
        name: views.view(seeded.policy, role, name).name for name in DATA_FIELDS
    }
    possible = {
        field
        for _, governed, root, _, _ in choices()
        for field in governed
        if root != "facets" or not field.startswith("Facets.")
        if allowed(seeded.policy, role, "calls" if role not in WITHOUT_CALLS else root, governed)
    }
    assert {name for name, entry in said.items() if entry["filterable"]} == possible


def everything(scope: Scope) -> str:
    """All that the role may select of all data types."""
    return f"""query {{ calls {{ nodes {{ {selected(scope, "Call")} }} }}
      errors {{ nodes {{ {selected(scope, "CallError")} }} }}
      errorGroups {{ nodes {{ {selected(scope, "ErrorGroup")} }} }} costs {{ {selected(scope, "CostReport")} }} }}"""


def selected(scope: Scope, type_: str) -> str:
    parts = []
    for name, field in SCHEMA.type_map[type_].fields.items():
        inner = get_named_type(field.type)
        if views.view(scope.policy, scope.role, f"{type_}.{name}") is View.DENIED or inner.name in (
            "Call",
            "CallError",
        ):
            continue
        below = f" {{ {selected(scope, inner.name)} }}" if hasattr(inner, "fields") else ""
        parts.append(name + below)
    return " ".join(parts) or "__typename"


@pytest.mark.parametrize("view", [View.MASKED, View.DENIED])
async def test_what_is_taken_away_is_nowhere_in_the_answer(seeded: SeededLedger, view: View) -> None:
    """Each value by itself: masked or denied, it is in no list, group, sum or part that the role can still select."""
    whole = orjson.dumps(await seeded.data(everything(seeded.scope(Role.VIEWER)))).decode()
    assert [field for field, canary in CANARIES.items() if canary not in whole] == []
    for field, canary in CANARIES.items():
        if view is View.MASKED and field in SEALED:
            continue  # masked already: only what a rule found is hidden, and here it found nothing
        scope = seeded.scope(Role.VIEWER, policy=altered(seeded.policy, Role.VIEWER, field, view))
        answer = orjson.dumps(await seeded.data(everything(scope), scope)).decode()
        if field == "Amount.amount":
            answer = answer.replace(f'"unitPrice":"{canary}"', "")
        assert canary not in answer, field


def acting(policy: Policy, field: str, action: Action) -> Policy:
    """The policy with another action for one field."""
    return replace(policy, fields={**policy.fields, field: replace(policy.fields[field], action=action)})


@pytest.mark.parametrize("action", [Action.DROP, Action.MASK])
async def test_what_the_policy_no_longer_keeps_is_served_no_more(seeded: SeededLedger, action: Action) -> None:
    """Each field dropped, or masked, by itself: from that moment no answer holds what older rows have of it."""
    for field, canary in CANARIES.items():
        if action not in ACTIONS[field] or (action is Action.MASK and field in SEALED):
            continue
        policy = acting(seeded.policy, field, action)
        for role in (Role.VIEWER, Role.ADMIN):
            scope = seeded.scope(role, policy=policy)
            answer = orjson.dumps(await seeded.data(everything(scope), scope)).decode()
            assert canary not in answer, (field, role)


async def test_what_the_policy_no_longer_keeps_is_chosen_by_nobody(seeded: SeededLedger) -> None:
    """No filter, order, group or facet by a dropped field, plain, nested or negated."""
    for name, governed, _, query, value in choices():
        for field in governed:
            if Action.DROP not in ACTIONS[field] or field in ERROR_RECORD:
                continue  # an error record is kept as a whole or not at all
            scope = seeded.scope(Role.ADMIN, policy=acting(seeded.policy, field, Action.DROP))
            assert await forbidden(seeded, query, value, scope), (name, field)


async def test_error_records_that_are_no_longer_kept_are_served_no_more(seeded: SeededLedger) -> None:
    """A policy without error records shows none of those that an earlier one kept, and answers all the same."""
    policy = seeded.policy
    for field in DATA_FIELDS:
        if field.partition(".")[0] in ("CallError", "ErrorGroup") and Action.DROP in ACTIONS[field]:
            policy = acting(policy, field, Action.DROP)
    scope = seeded.scope(Role.VIEWER, policy=policy)
    data = await seeded.data("{ errors { totalCount nodes { id } } errorGroups { totalCount } }", scope)

    assert data == {"errors": {"totalCount": 0, "nodes": []}, "errorGroups": {"totalCount": 0}}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
async def test_any_field_masked_is_an_answer_or_a_refusal(seeded: SeededLedger, role: Role) -> None:
    """No field breaks an answer when it is masked: the role still gets all that `viewer.fields` says it may select."""
    for field in DATA_FIELDS:
        scope = seeded.scope(role, policy=altered(seeded.policy, role, field, View.MASKED))
        expected = View.MASKED if field in SHOWN_MASKED else View.DENIED
        if views.view(seeded.policy, role, field) is View.SEE:
            assert scope.views[field] is expected, field
        await seeded.data(everything(scope), scope)
        facets = [name for name in FACETS if scope.views[f"Facets.{name}"] is not View.DENIED]
        parts = [f"{name} {{ {selected(scope, 'TagFacet' if name == 'tags' else 'FacetValue')} }}" for name in facets]
        await seeded.data(f"{{ facets {{ __typename {' '.join(parts)} }} }}", scope)


async def test_an_export_shows_what_its_role_sees(seeded: SeededLedger) -> None:
    """Exports ask through the same gate: what an admin is denied is refused by name, what is masked comes masked."""
    async with serve(seeded) as served:
        runtime = served.runtime
        for kind, field in (("calls", "Call.apiKey"), ("errors", "CallError.code"), ("costs", "Call.provider")):
            policy = altered(seeded.policy, Role.ADMIN, field, View.DENIED)
            runtime.applied = replace(runtime.applied, policy=policy)
            with pytest.raises(ExportRefusedError, match="may not"):
                await exported(runtime, kind)
        masked = altered(seeded.policy, Role.ADMIN, "Call.apiKey", View.MASKED)
        runtime.applied = replace(runtime.applied, policy=masked)
        rows = await exported(runtime, "calls")
        assert [row["apiKey"] for row in rows] == ["[redacted:operational]"]
        with pytest.raises(ExportRefusedError, match="may not"):
            await exported(runtime, "calls", {"apiKey": {"eq": "x"}})


async def exported(runtime: Any, kind: str, filter_: Any = None) -> list[dict[str, Any]]:
    """The rows of an export with every field, as `calledger export` asks for them."""
    grouping = ExportGrouping() if kind == "costs" else None
    shape = SHAPES[kind.upper()] if grouping is None else shape_of("COSTS", grouping)
    request = ExportRequest(kind.upper(), "NDJSON", all_fields(shape), filter_, grouping)
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    source = await open_source(reader, admin_scope(runtime), request)
    return [row async for batch in source.batches for row in batch.rows]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("preset", PRESETS)
async def test_who_may_ask_for_files(seeded: SeededLedger, preset: str, role: Role) -> None:
    """Evidence is for auditors, compliance and admins, rows are for those who see calls; under every shipped policy."""
    policy = load_preset(preset)
    scope = seeded.scope(role, policy=policy)
    evidence = "mutation($x: BigInt) { createEvidence(input: {sinceSize: $x}) { __typename } }"
    exported = "query($x: ID!) { export(id: $x) { id state url manifest sha256 failure } }"
    calls = "mutation($x: [String!]) { createExport(input: {kind: CALLS, format: CSV, fields: $x}) { __typename } }"
    assert await forbidden(seeded, evidence, "99", scope) is (role not in (Role.AUDITOR, Role.COMPLIANCE, Role.ADMIN))
    assert await forbidden(seeded, exported, "exp_x", scope) is (role is Role.INGEST)
    assert await forbidden(seeded, calls, ["nothing"], scope) is (role in WITHOUT_CALLS)


async def test_an_export_has_no_field_that_is_denied(seeded: SeededLedger) -> None:
    """Each field denied by itself: named it is refused, and unnamed neither it nor what repeats it is selected."""
    for kind, shape in SHAPES.items():
        for name, (type_, parts) in shape.fields.items():
            for field in (f"{shape.type}.{name}", *(f"{type_}.{part}" for part in parts)):
                scope = seeded.scope(Role.VIEWER, policy=altered(seeded.policy, Role.VIEWER, field, View.DENIED))
                with pytest.raises(ForbiddenError):
                    chosen_fields(shape, [name], scope)
                for chosen, inner in chosen_fields(shape, None, scope):
                    of = shape.fields[chosen][0]
                    seen = [f"{shape.type}.{chosen}", *(f"{of}.{part}" for part in inner)]
                    assert all(scope.views[one] is not View.DENIED for one in seen), (kind, field)


def test_what_can_be_exported_is_in_the_schema() -> None:
    """Every field of an export is one of its type in the schema, and every plain field of the type can be exported."""
    for shape in SHAPES.values():
        type_ = SCHEMA.type_map[shape.type]
        assert set(shape.fields) <= set(type_.fields)
        for name, (of, parts) in shape.fields.items():
            assert get_named_type(type_.fields[name].type).name == of or not of
            assert set(parts) <= set(SCHEMA.type_map[of].fields if of else ())
    left_out = {shape.type: set(SCHEMA.type_map[shape.type].fields) - set(shape.fields) for shape in SHAPES.values()}
    assert left_out == {
        "Call": {"error", "corrections"},
        "CallError": set(),
        "CostRow": set(),
    }
