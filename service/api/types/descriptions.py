"""The schema's descriptions are the docstrings of the Python classes and resolvers: each is written once."""

from graphql import GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField


def describe(schema: GraphQLSchema) -> None:
    """Give each type and field of `schema` that has no description the docstring of its class or resolver, as one line.

    A class without a docstring of its own gets what `dataclass` writes there, and the check of `schema.graphql` fails.
    """
    for type_ in schema.type_map.values():
        definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        type_.description = type_.description or _one_line(_docstring_of(definition))
        for field in getattr(type_, "fields", {}).values():
            field_definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            field.description = field.description or _one_line(_docstring_of(field_definition))


def _docstring_of(definition: object) -> str | None:
    """The docstring of what Strawberry made `definition` from; None for scalars and for fields without a resolver."""
    if isinstance(definition, StrawberryObjectDefinition):
        return definition.origin.__doc__
    if isinstance(definition, StrawberryEnumDefinition):
        return definition.wrapped_cls.__doc__
    if isinstance(definition, StrawberryField) and definition.base_resolver is not None:
        return definition.base_resolver.wrapped_func.__doc__
    return None


def _one_line(docstring: str | None) -> str | None:
    return " ".join(docstring.split()) if docstring else None
