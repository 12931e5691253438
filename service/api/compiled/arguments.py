"""Arguments of root fields: from coerced values to the request that the reader takes."""

from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Any, Final

from strawberry.types.arguments import convert_arguments

from service.api.calls.resolvers import to_request
from service.api.types.connections import Slicing
from service.api.types.declarations import given
from service.query.model.catalog import CALLS, Table
from service.query.records.page import PageRequest


class Arguments:
    """Converts the arguments of `calls`, `errors` and `costs`, by Strawberry's own conversion."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 - the Strawberry schema
        self._config = schema.config
        self._registry = schema.schema_converter.scalar_registry
        fields = {field.python_name: field for field in schema.query.__strawberry_definition__.fields}
        self._fields = {name: fields[name] for name in ("calls", "errors", "costs")}

    def request(self, table: Table, coerced: Mapping[str, Any]) -> PageRequest:
        """Raises what the resolver would raise."""
        values = self.converted("calls" if table is CALLS else "errors", coerced)
        slicing = Slicing(*(values.get(name) for name in ("first", "after", "last", "before")))
        return to_request(values.get("filter"), values.get("order_by"), slicing)

    def converted(self, name: str, coerced: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by their names in Python; None for one that was not given."""
        values = convert_arguments(
            dict(coerced), self._fields[name].arguments, scalar_registry=self._registry, config=self._config, info=None
        )
        return {name: given(value) for name, value in values.items()}


def signature(value: Any) -> Hashable:  # noqa: ANN401 - any coerced argument
    """Everything of an argument that the gate looks at: which fields it names, which enum values, and the page's size.

    Of a filter's values only whether they are null.
    """
    return tuple((name, _SIGNED.get(name, _shape)(given)) for name, given in value.items())


def _shape(value: Any) -> Hashable:  # noqa: ANN401 - any part of a coerced argument
    if isinstance(value, Mapping):
        return tuple((name, _shape(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return frozenset(_shape(inner) for inner in value)
    return value if isinstance(value, Enum) else value is None


_SIGNED: Final[Mapping[str, Callable[[Any], Hashable]]] = dict.fromkeys(
    ("first", "last", "orderBy", "fillBuckets"), repr
)
