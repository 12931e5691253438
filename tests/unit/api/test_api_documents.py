"""Reading documents leaves little to the garbage collector: nobody has the interpreter while it works."""

import gc
from collections.abc import Iterator

import pytest
from graphql import FieldNode, GraphQLError
from strawberry.types.arguments import convert_argument

from service.api.execution.documents import _prepared, _read, validated
from service.api.schema import _in_camel_case, build_schema
from service.api.types.filter_inputs import CallFilter

SCHEMA = build_schema()


@pytest.fixture
def resting() -> Iterator[None]:
    """What is there is left alone, and nothing is collected unless it is asked for."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("resting")
def test_a_refused_document_is_gone_at_once() -> None:
    """Its refusal's traceback keeps none of the document, so that no ring of objects is left."""
    with pytest.raises(GraphQLError, match="too often") as refused:
        _read(SCHEMA._schema, "{" + "viewer{role}" * 490 + "}")
    del refused
    assert not [node for node in gc.get_objects() if isinstance(node, FieldNode)]


@pytest.mark.usefixtures("resting")
@pytest.mark.parametrize("mistakes", [20, 600])
def test_what_validation_leaves_behind_does_not_pile_up(mistakes: int) -> None:
    """However many documents are read, one after the other, the young objects are those of a few."""
    for number in range(6_000 // mistakes):
        query = f"{{calls(filter: {{{'a: 1 ' * mistakes}}}) {{totalCount}}}} # {number}"
        validated(SCHEMA._schema, _prepared(query))
        assert gc.get_count()[0] < 20_000


def test_names_of_inputs_are_made_once() -> None:
    """A filter of many objects costs no look at each name of each of them."""
    made = []
    for objects in (1, 100):
        given = {"or": [{}] * objects}
        convert_argument(given, CallFilter, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)
        made.append(_in_camel_case.cache_info().misses)
    assert made[0] == made[1]
