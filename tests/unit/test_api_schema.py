"""The schema as a contract: committed, described, and never broken without saying so."""

import re
import subprocess
from pathlib import Path

import pytest
from documents import documents
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    build_schema,
    is_introspection_type,
    is_non_null_type,
    is_specified_scalar_type,
    parse,
    validate,
)
from graphql.utilities import find_breaking_changes

from policies.errors import SchemaCoverageError
from policies.policy.document import PRESETS, load_preset, unnamed
from policies.policy.model import DataClass as PolicyDataClass
from policies.policy.model import Role, View
from policies.policy.views import view
from service.api.schema import build_schema as build_ours
from service.api.schema import sdl
from service.api.types import enums
from service.query.authorization.enforcement import ENUM_VALUES, INPUT_FIELDS, check_schema

ROOT = Path(__file__).parents[2]
SCHEMA = build_ours()._schema


def test_the_committed_schema_is_in_step() -> None:
    """schema.graphql is what the code says: `python -m service.api.schema > schema.graphql` makes it so."""
    assert (ROOT / "schema.graphql").read_text() == sdl()


def _undescribed(schema: GraphQLSchema) -> list[str]:
    missing = []
    for name, type_ in schema.type_map.items():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        if not type_.description:
            missing.append(name)
        if isinstance(type_, GraphQLEnumType):
            missing += [f"{name}.{value}" for value, item in type_.values.items() if not item.description]
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, item in type_.fields.items():
                if not item.description:
                    missing.append(f"{name}.{field}")
                arguments = getattr(item, "args", {}).items()
                missing += [f"{name}.{field}({arg})" for arg, value in arguments if not value.description]
    return missing


def test_everything_is_described() -> None:
    """Every type, field, argument and enum value says what it is."""
    assert _undescribed(SCHEMA) == []


def test_no_input_has_a_null_for_a_default() -> None:
    """An argument that is not given is not null: no `= null` is printed anywhere."""
    assert "= null" not in sdl()


def test_a_breaking_change_is_said_in_the_changelog() -> None:
    """Against the last commit: what breaks a client stands in CHANGELOG.md by its type's or field's name."""
    done = subprocess.run(["git", "show", "HEAD:schema.graphql"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "no committed schema to compare with (not a git checkout)"
        print(reason)
        pytest.skip(reason)
    changes = find_breaking_changes(build_schema(done.stdout), build_schema(sdl()))
    changelog = (ROOT / "CHANGELOG.md").read_text() if (ROOT / "CHANGELOG.md").exists() else ""
    unsaid = [change.description for change in changes if _named(change.description) not in changelog]
    assert unsaid == []


def _named(description: str) -> str:
    """What a change is about, `Call.totalTokens`: graphql-core quotes it in some versions, and in others does not."""
    words = [word.strip("'.") for word in description.split()]
    return next((word for word in words if "." in word), words[0])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_covers_the_schema(preset: str) -> None:
    """The service starts under every shipped policy."""
    check_schema(SCHEMA)
    assert unnamed(load_preset(preset)) == []


def test_every_scalar_says_where_it_is_specified() -> None:
    """Ours have `@specifiedBy`; those of GraphQL itself need none."""
    ours = [type_ for type_ in SCHEMA.type_map.values() if isinstance(type_, GraphQLScalarType)]
    unsaid = [type_.name for type_ in ours if not is_specified_scalar_type(type_) and not type_.specified_by_url]
    assert unsaid == []


def test_a_field_without_an_entry_is_refused() -> None:
    """A field that is added to the schema and not to the policy keeps the service from starting."""
    grown = build_schema(sdl() + "extend type Call { whisper: String }")
    with pytest.raises(SchemaCoverageError, match=r"Call\.whisper"):
        check_schema(grown)
    with pytest.raises(SchemaCoverageError, match=r"Prompt\.text"):
        check_schema(build_schema(sdl() + "type Prompt { text: String }"))


@pytest.mark.parametrize("preset", PRESETS)
def test_what_cannot_be_null_is_never_masked(preset: str) -> None:
    """No shipped role is masked on a field that must have a value and is not text."""
    policy, masked = load_preset(preset), []
    for name, type_ in SCHEMA.type_map.items():
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            for field, item in type_.fields.items():
                if str(item.type).endswith("!") and str(item.type) != "String!":
                    masked += [
                        f"{name}.{field} for {role}"
                        for role in Role
                        if view(policy, role, f"{name}.{field}") is View.MASKED
                    ]
    assert masked == []


def test_every_filter_and_order_is_governed() -> None:
    """No field of a filter and no value of an ordering enum is missing from the table that enforcement reads."""
    for name, governed in INPUT_FIELDS.items():
        fields = SCHEMA.type_map[name].fields.keys()  # type: ignore[union-attr]
        assert fields - {"and", "or", "not"} == governed.keys()
    for name, type_ in SCHEMA.type_map.items():
        if isinstance(type_, GraphQLEnumType) and (name.endswith("OrderField") or name == "CostDimension"):
            assert type_.values.keys() == ENUM_VALUES[name].keys(), name


def test_every_kind_of_entry_can_be_shown() -> None:
    """A kind that the ledger has and the schema lacks would be an entry that no list can show."""
    from policies.evidence import LedgerKind
    from service.api.ledger import types as ledger_types

    assert [kind.name for kind in ledger_types.LedgerKind] == [kind.name for kind in LedgerKind]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_grants_is_there(preset: str) -> None:
    """No role is granted a root field that the schema lacks."""
    roots = {*SCHEMA.query_type.fields, *SCHEMA.mutation_type.fields, *SCHEMA.subscription_type.fields}
    granted = {(role, root) for role, rule in load_preset(preset).roles.items() for root in rule.ask}
    assert {(role, root) for role, root in granted if root not in roots} == set()


def test_every_root_field_may_be_null() -> None:
    """One field that fails leaves the others their data: what a mutation before it has done is told."""
    roots = [type_ for type_ in (SCHEMA.query_type, SCHEMA.mutation_type) if type_ is not None]
    fields = {f"{root.name}.{name}": field.type for root in roots for name, field in root.fields.items()}
    assert [name for name, type_ in fields.items() if is_non_null_type(type_)] == []


def test_classes_of_data_are_those_of_the_policy() -> None:
    """The GraphQL enum has every class that a policy can name: an answer would fail at one that it has not."""
    assert {one.name for one in enums.DataClass} == {one.name for one in PolicyDataClass}


def _deprecated() -> dict[str, str]:
    """Each field, argument, input field and enum value that is deprecated, by its place, with the reason."""
    found: dict[str, str | None] = {}
    for type_ in SCHEMA.type_map.values():
        for kind in ("fields", "values"):
            for name, part in getattr(type_, kind, {}).items():
                found[f"{type_.name}.{name}"] = part.deprecation_reason
                for argument, given in getattr(part, "args", {}).items():
                    found[f"{type_.name}.{name}({argument}:)"] = given.deprecation_reason
    return {place: reason for place, reason in found.items() if reason and not place.startswith("__")}


def test_what_is_deprecated_says_what_instead_and_until_when() -> None:
    """The reason names what to ask for and a date that the page repeats; the page lists nothing else."""
    page = (ROOT / "docs/schema.md").read_text()
    listed = dict(re.findall(r"^\| `([^`]+)` \|.*\| (\d{4}-\d\d-\d\d) \|$", page, re.MULTILINE))
    assert listed.keys() == _deprecated().keys()
    for place, reason in _deprecated().items():
        assert re.fullmatch(r"Ask for `\w+(\.\w+)*` instead\. Removed at the earliest .* after [\d-]+\.", reason), place
        assert listed[place] in reason


def test_no_document_of_ours_asks_for_what_is_deprecated() -> None:
    """Pages, console, benchmarks and exports ask for what stays."""
    for shown in documents():
        if shown.text.strip().startswith(("{", "query", "mutation")):
            found = validate(SCHEMA, parse(shown.text), [NoDeprecatedCustomRule])
            assert found == [], (shown.place, found)
