"""The columns of a file: their names, their types in the schema, and how rows are turned into them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLSchema, get_named_type

from service.api.exports.kinds import LIST_PARTS, LISTS, Fields

Values = Sequence[Any]
"""The values of one column, as JSON has them: decimals, big integers and moments are texts."""
PLAIN: Final = frozenset({"String", "ID", "Int", "BigInt", "Decimal", "Float", "Boolean", "DateTime"})


@dataclass(frozen=True, slots=True)
class FileColumn:
    """One column. `type`: the name of the scalar in the schema; `members`: of a list, the fields of its objects."""

    name: str
    type: str = "String"
    members: "tuple[FileColumn, ...]" = ()


Layout = tuple[tuple[FileColumn, ...], ...]
"""By field, the columns that it is written as: several where it is an object, as `amount.amount`."""


def layout_of(schema: GraphQLSchema, type_: str, fields: Fields) -> Layout:
    """The columns of fields of an object type. A part of an object has a column `field.part`."""
    return tuple(_columns_of(schema, type_, name, parts) for name, parts in fields)


def _columns_of(schema: GraphQLSchema, type_: str, name: str, parts: tuple[str, ...]) -> tuple[FileColumn, ...]:
    inner = _type_of(schema, type_, name)
    if not parts:
        return (FileColumn(name, _scalar(inner)),)
    members = tuple(_member(schema, inner, part) for part in parts)
    if name in LISTS:
        return (FileColumn(name, inner, members),)
    return tuple(replace(part, name=f"{name}.{part.name}") for part in members)


def _member(schema: GraphQLSchema, type_: str, name: str) -> FileColumn:
    inner = _type_of(schema, type_, name)
    if name in LIST_PARTS:
        return FileColumn(name, inner, tuple(_member(schema, inner, part) for part in LIST_PARTS[name]))
    return FileColumn(name, _scalar(inner))


def _type_of(schema: GraphQLSchema, type_: str, name: str) -> str:
    parent = schema.type_map[type_]
    assert isinstance(parent, GraphQLObjectType)
    return get_named_type(parent.fields[name].type).name


def _scalar(type_: str) -> str:
    """A scalar's own name; an enum's values are names."""
    return type_ if type_ in PLAIN else "String"


def flat(layout: Layout) -> tuple[FileColumn, ...]:
    """All columns, in order."""
    return tuple(column for columns in layout for column in columns)
