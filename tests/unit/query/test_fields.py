"""The table of fields, the schema, the policy and the database say the same."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLObjectType, build_schema

from policies.policy.fields import CALL_FIELDS, DATA_FIELDS
from service.api.schema import sdl
from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.field import FieldKind
from service.query.model.fields import CALL, EXPRESSIONS, TYPES
from service.storage.statements.correct import INHERITED

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = build_schema(sdl())
CATALOGUE = ROOT / "service/storage/schema/catalogue.txt"


@pytest.mark.parametrize("type_", TYPES)
def test_the_schema_has_the_fields_of_the_table(type_: str) -> None:
    """Each type has the table's fields and no others, each of the type that the table says."""
    shown = SCHEMA.type_map[type_]
    assert isinstance(shown, GraphQLObjectType)

    assert {name: str(field.type) for name, field in shown.fields.items()} == {
        name: field.type for name, field in TYPES[type_].items()
    }


def test_the_policy_has_the_fields_of_the_table() -> None:
    """Every field of a type of the table is one that the policy decides about; those of calls in the same order."""
    assert list(CALL_FIELDS) == list(CALL)
    fields = {f"{type_}.{name}" for type_, found in TYPES.items() for name in found}
    assert fields == {field for field in DATA_FIELDS if field.partition(".")[0] in TYPES}


@pytest.mark.parametrize("table", [CALLS, ERRORS], ids=lambda table: table.type)
def test_what_a_field_reads_is_there(table: Table) -> None:
    """Every alias that stands for no expression is a column of the table, and every expression is used."""
    columns = set(re.findall(rf"column `{table.name}\.(\w+)`", CATALOGUE.read_text("utf-8")))
    parts = [part for field in table.fields.values() for part in (field.parts or {}).values()]
    aliases = {alias for field in (*table.fields.values(), *parts) for alias in field.columns}

    assert aliases - EXPRESSIONS.keys() <= columns
    assert table is ERRORS or aliases >= EXPRESSIONS.keys()


def test_the_pages_name_files_that_are_there() -> None:
    """Every path that docs/changing.md names exists."""
    text = (ROOT / "docs/changing.md").read_text("utf-8")
    paths = re.findall(r"`((?:service|policies|tests|docs)/[\w/.-]+)`", text)

    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_correction_is_found_by_each_name_of_its_call() -> None:
    """A filter by a text or a flag of a call finds its corrections too, or costs by it would leave out what was taken
    back; where a report came from is the correction's own.
    """
    names = {field.columns[0] for field in CALL.values() if field.filter in {FieldKind.TEXT, FieldKind.FLAG}}
    assert {"model", "trace_id", "parent_span_id", "cache_hit"} <= names
    assert names - {"source_id"} <= INHERITED
