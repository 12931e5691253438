"""Variables of a request as a form and values. All that an operation asks but for values is the same for all of a form.

The form says which variables and which fields of input objects are given, which of them are null, how many entries
lists have, which values of enums there are, and what the variables hold that directives name. The values are the
scalars, in the order in which they stand in the request.
"""

import re
import secrets
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    VariableDefinitionNode,
    type_from_ast,
)

VALUES_MAX: Final = 64
"""A filter of usual size has a few values; the form of more is not worth remembering."""
_ABSENT: Final = object()
_VALUE: Final = object()
_MARKING: Final = secrets.token_hex(8)
MARKED: Final = re.compile(f"<{_MARKING} ([0-9]+)>")

Form = Hashable
Values = list[Any]
_Reader = Callable[[Any, Values], Form]
"""From what is given to its form; its values are added to the list. Raises whatever coercion raises."""


@dataclass(frozen=True, slots=True, repr=False)
class Placeholder:
    """Stands for one of the values. Its `repr` is unforgeable: texts are filled in where it stands."""

    index: int

    def __repr__(self) -> str:
        return f"<{_MARKING} {self.index}>"


class Given(NamedTuple):
    """The variables of one request."""

    form: Form
    values: Values


class UnreadError(Exception):
    """Not given in the usual way: graphql-core says what becomes of it."""


class Variables:
    """The variables that an operation declares. `flags`: those that its directives name."""

    def __init__(
        self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode], flags: Collection[str]
    ) -> None:
        self._types = {node.variable.name.value: type_from_ast(schema, node.type) for node in definitions}
        made: dict[str, _Reader] = {}
        self._readers = [
            (name, _flag if name in flags else _reader(type_, made)) for name, type_ in self._types.items()
        ]
        self._flags = frozenset(flags)

    def read(self, variables: Mapping[str, Any]) -> Given | None:
        """Form and values of variables as they came, or None where there are too many or graphql-core has to look."""
        values: Values = []
        try:
            form = [reader(variables[name], values) if name in variables else _ABSENT for name, reader in self._readers]
        except Exception:
            return None
        return Given(tuple(form), values) if len(values) <= VALUES_MAX else None

    def marked(self, variables: Mapping[str, Any], coerced: Mapping[str, Any]) -> dict[str, Any]:
        """What graphql-core made of variables that could be read, with placeholders for the values."""
        marks = map(Placeholder, count())
        return {
            **coerced,
            **{
                name: _marked(type_, variables[name], coerced[name], marks)
                for name, type_ in self._types.items()
                if name in variables and name not in self._flags
            },
        }


def _flag(given: Any, _: Values) -> Form:  # noqa: ANN401 - JSON
    if not isinstance(given, bool | None):
        raise UnreadError
    return given


def _reader(type_: Any, made: dict[str, _Reader]) -> _Reader:  # noqa: ANN401 - a type of graphql-core
    if isinstance(type_, GraphQLNonNull):
        return _reader(type_.of_type, made)
    if isinstance(type_, GraphQLList):
        return _list_reader(_reader(type_.of_type, made))
    if isinstance(type_, GraphQLInputObjectType):
        return made[type_.name] if type_.name in made else _object_reader(type_, made)
    if isinstance(type_, GraphQLEnumType):
        return _enum
    return _scalar_reader(type_)


def _enum(given: Any, _: Values) -> Form:  # noqa: ANN401 - JSON
    if not isinstance(given, str | None):
        raise UnreadError
    return given


def _scalar_reader(scalar: GraphQLScalarType) -> _Reader:
    coerce = scalar.coerce_input_value

    def read(given: Any, values: Values) -> Form:  # noqa: ANN401 - JSON
        """One value, or null."""
        if given is None:
            return None
        value = coerce(given)
        if value is None:
            raise UnreadError
        values.append(value)
        return _VALUE

    return read


def _list_reader(entry: _Reader) -> _Reader:
    def read(given: Any, values: Values) -> Form:  # noqa: ANN401 - JSON
        """The forms of the entries, or null."""
        if given is None:
            return None
        if not isinstance(given, list) or len(given) > VALUES_MAX:
            raise UnreadError
        return tuple([entry(one, values) for one in given])

    return read


def _object_reader(type_: GraphQLInputObjectType, made: dict[str, _Reader]) -> _Reader:
    fields: dict[str, _Reader] = {}

    def read(given: Any, values: Values) -> Form:  # noqa: ANN401 - JSON
        """The fields that are given, with their forms, or null."""
        if given is None:
            return None
        if not isinstance(given, dict):
            raise UnreadError
        return tuple([(name, fields[name](one, values)) for name, one in given.items()])

    made[type_.name] = read  # before its fields: a filter holds filters
    fields.update({name: _reader(field.type, made) for name, field in type_.fields.items()})
    return read


def _marked(type_: Any, given: Any, coerced: Any, marks: Iterator[Placeholder]) -> Any:  # noqa: ANN401 - JSON and types
    if given is None:
        return coerced
    match type_:
        case GraphQLNonNull():
            return _marked(type_.of_type, given, coerced, marks)
        case GraphQLList():
            return [_marked(type_.of_type, one, made, marks) for one, made in zip(given, coerced, strict=True)]
        case GraphQLInputObjectType():
            marked = {name: _marked(type_.fields[name].type, one, coerced[name], marks) for name, one in given.items()}
            return {name: marked.get(name, one) for name, one in coerced.items()}
        case GraphQLEnumType():
            return coerced
        case _:
            return next(marks)
