"""Requests of an operation whose variables are all scalars and all given: worked out once, then only filled in.

graphql-core's and Strawberry's own conversion runs once, with a mark in the place of each variable's value; what comes
out is a predicate with marks in it. A value itself is coerced by its scalar, as graphql-core does it. Whatever is not
this simple has no template.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNonNull,
    GraphQLScalarType,
    get_argument_values,
)
from graphql.execution.values import VariableValues

from service.api.calls.resolvers import Slicing
from service.api.compiled.arguments import Arguments
from service.query.filters.decomposition import Question, question
from service.query.model.catalog import Table
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch, fields_of
from service.query.records.page import PageRequest

Values = Mapping[str, Any]
_SLICING: Final = ("first", "after", "last", "before")


class NoTemplateError(Exception):
    """The operation's arguments are not simple enough."""


_MARKING: Final = secrets.token_hex(8)
_MARKED: Final = re.compile(f"<{_MARKING} ([A-Za-z0-9_]+)>")


@dataclass(frozen=True, slots=True, repr=False)
class Placeholder:
    """Stands for the value of a variable. Nobody else can write its `repr`: it is what a text is filled in by."""

    variable: str

    def __repr__(self) -> str:
        return f"<{_MARKING} {self.variable}>"


class Scalars:
    """Coerces variables that are scalars. NoTemplateError when one of them is anything else."""

    def __init__(self, values: VariableValues) -> None:
        self._types: list[tuple[str, GraphQLScalarType]] = []
        for name, source in values.sources.items():
            type_ = source.signature.type
            scalar = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            if not isinstance(scalar, GraphQLScalarType):
                raise NoTemplateError
            self._types.append((name, scalar))

    def coerced(self, variables: Values) -> dict[str, Any] | None:
        """The values, or None when one is missing, null or refused: graphql-core says what becomes of it."""
        found = {}
        for name, scalar in self._types:
            given = variables.get(name)
            if given is None:
                return None
            try:
                value = scalar.coerce_input_value(given)
            except Exception:
                return None
            if value is None:
                return None
            found[name] = value
        return found


class Template:
    """The request of one root field."""

    def __init__(
        self, table: Table, definition: GraphQLField, node: FieldNode, values: VariableValues, arguments: Arguments
    ) -> None:
        marked = VariableValues(values.sources, {name: Placeholder(name) for name in values.sources})
        try:
            given = get_argument_values(definition, node, marked)
            self._slicing = Slicing(*(given.pop(name, None) for name in _SLICING))
            self.sized = any(_marked(getattr(self._slicing, name)) for name in _SLICING)
            request = arguments.request(table, given)
            assert not isinstance(request.predicate, Question)
            self._question = _asker(table, request.predicate)
            self._page = (0, False, None, None) if self.sized else self._slicing.page
        except Exception as error:  # whoever asks is told when the list is read, by the resolver's own words
            raise NoTemplateError from error
        self._terms = request.terms
        if any(_marked(term.field) or _marked(term.descending) for term in self._terms):
            raise NoTemplateError

    def sizes(self, values: Values) -> tuple[Any, Any] | None:
        """`first` and `last`, which the price depends on; None: no variable says them."""
        if not self.sized:
            return None
        slicing = self._slice(values)
        return slicing.first, slicing.last

    def request(self, values: Values) -> PageRequest:
        """Raises BadInputError, as the resolver would."""
        page = self._slice(values).page if self.sized else self._page
        return PageRequest(self._question(values), self._terms, *page)

    def _slice(self, values: Values) -> Slicing:
        return Slicing(*(_filled(getattr(self._slicing, name), values) for name in _SLICING))


def _asker(table: Table, predicate: Predicate) -> Callable[[Values], Predicate | Question]:
    """What the filter asks, taken apart before its values are known."""
    if "user" in fields_of(predicate):
        # Which plain ids it names is known with the values only.
        return _filler(predicate)
    asked = question(table, predicate)
    times, accounts, ids = (
        [_compare_filler(part) for part in parts] for parts in (asked.times, asked.accounts, asked.ids)
    )
    rest, text = _filler(asked.rest), _text_filler(asked.text)

    def ask(values: Values) -> Question:
        """The filter for one request's values."""
        return Question(
            tuple([part(values) for part in times]),
            tuple([part(values) for part in accounts]),
            tuple([part(values) for part in ids]),
            rest(values),
            asked.users,
            text(values),
        )

    return ask


def _text_filler(text: str) -> Callable[[Values], str]:
    parts = _MARKED.split(text)
    pairs, last = list(zip(parts[0::2], parts[1::2], strict=False)), parts[-1]
    return lambda values: "".join([f"{before}{values[name]!r}" for before, name in pairs]) + last


def _filled(part: Any, values: Values) -> Any:  # noqa: ANN401 - any argument
    return values[part.variable] if isinstance(part, Placeholder) else part


def _marked(part: Any) -> bool:  # noqa: ANN401 - any value of a predicate
    return isinstance(part, Placeholder) or (isinstance(part, tuple) and any(_marked(item) for item in part))


def _compare_filler(compare: Compare) -> Callable[[Values], Compare]:
    match compare:
        case Compare(field, operator, Placeholder(name)):
            return lambda values: Compare(field, operator, values[name])
        case Compare(field, operator, tuple(items)) if _marked(items):
            return lambda values: Compare(field, operator, tuple(_filled(item, values) for item in items))
        case _:
            return lambda _: compare


def _filler(predicate: Predicate) -> Callable[[Values], Predicate]:
    match predicate:
        case Compare():
            return _compare_filler(predicate)
        case TagMatch(key, conditions):
            return _tag_filler(key, conditions)
        case And(parts) | Or(parts) if parts:
            make = type(predicate)
            fillers = [_filler(part) for part in parts]
            return lambda values: make(tuple([filler(values) for filler in fillers]))
        case Not(part):
            filler = _filler(part)
            return lambda values: Not(filler(values))
        case _:
            return lambda _: predicate


def _tag_filler(key: Any, conditions: tuple[Compare, ...]) -> Callable[[Values], Predicate]:  # noqa: ANN401
    fillers = [_compare_filler(condition) for condition in conditions]
    return lambda values: TagMatch(_filled(key, values), tuple(filler(values) for filler in fillers))
