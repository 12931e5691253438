"""Variables of a request as a form and values. All that an operation asks but for values is the same for all of a form.

The form says which variables and which fields of input objects are given, which of them are null, how many entries
lists have, which values of enums there are, and what the variables hold that directives name. The values are the
scalars, in the order in which they stand in the request. What was worked out for a form is remembered: the next request
of it only fills its own values into a template.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    VariableDefinitionNode,
    get_argument_values,
    type_from_ast,
)
from graphql.execution.values import VariableValues

from policies.policy.model import Policy, View
from service.api.compiled.arguments import Arguments
from service.api.compiled.fallbacks import FallbackError
from service.api.compiled.plan import Roots
from service.api.execution.context import Priced
from service.api.types.connections import Slicing
from service.query.filters.decomposition import DecomposedFilter, decompose
from service.query.model.catalog import Table
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch, fields_of
from service.query.records.page import PageRequest

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
                name: _placeholders(type_, variables[name], coerced[name], marks)
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


def _placeholders(type_: Any, given: Any, coerced: Any, marks: Iterator[Placeholder]) -> Any:  # noqa: ANN401 - JSON and types
    if given is None:
        return coerced
    match type_:
        case GraphQLNonNull():
            return _placeholders(type_.of_type, given, coerced, marks)
        case GraphQLList():
            return [_placeholders(type_.of_type, one, made, marks) for one, made in zip(given, coerced, strict=True)]
        case GraphQLInputObjectType():
            marked = {
                name: _placeholders(type_.fields[name].type, one, coerced[name], marks) for name, one in given.items()
            }
            return {name: marked.get(name, one) for name, one in coerced.items()}
        case GraphQLEnumType():
            return coerced
        case _:
            return next(marks)


_SLICING: Final = ("first", "after", "last", "before")


class NoTemplateError(Exception):
    """The operation's arguments are not simple enough."""


class Template:
    """The request of one root field. `marked`: the variables, with placeholders for their values."""

    def __init__(
        self, table: Table, definition: GraphQLField, node: FieldNode, marked: VariableValues, arguments: Arguments
    ) -> None:
        try:
            given = get_argument_values(definition, node, marked)
            self._slicing = Slicing(*(given.pop(name, None) for name in _SLICING))
            self.sized = _marked(self._slicing.first) or _marked(self._slicing.last)
            self._placed = _marked(self._slicing.after) or _marked(self._slicing.before)
            self._asked = tuple(getattr(self._slicing, name) for name in _SLICING)
            request = arguments.request(table, given)
            assert not isinstance(request.predicate, DecomposedFilter)
            self._filter = _filter_filler(table, request.predicate)
            self._page = (0, False, None, None) if self.sized else self._slicing.page
        except Exception as error:  # the resolver raises the same error, in its own words, when the list is read
            raise NoTemplateError from error
        self._terms = request.terms
        if any(_marked(term.field) or _marked(term.descending) for term in self._terms):
            raise NoTemplateError

    def sizes(self, values: Values) -> tuple[Any, Any] | None:
        """`first` and `last`, which the price depends on; None: no variable says them."""
        if not self.sized:
            return None
        return _filled(self._slicing.first, values), _filled(self._slicing.last, values)

    def request(self, values: Values) -> PageRequest:
        """Raises BadInputError, as the resolver would."""
        size, from_end, after, before = self._page
        if self.sized:
            size, from_end, after, before = Slicing(*[_filled(one, values) for one in self._asked]).page
        elif self._placed:
            after, before = _filled(after, values), _filled(before, values)
        return PageRequest(self._filter(values), self._terms, size, from_end, after, before)


def _filter_filler(table: Table, predicate: Predicate) -> Callable[[Values], Predicate | DecomposedFilter]:
    """What makes the filter of one request, decomposed before the values are known."""
    if "user" in fields_of(predicate):
        # Which plain ids it names is known with the values only.
        return _filler(predicate)
    decomposed = decompose(table, predicate)
    times, accounts, ids = (
        [_compare_filler(part) for part in parts] for parts in (decomposed.times, decomposed.accounts, decomposed.ids)
    )
    rest, text = _filler(decomposed.rest), _text_filler(decomposed.text)

    def filled(values: Values) -> DecomposedFilter:
        """The filter for one request's values."""
        return DecomposedFilter(
            tuple([part(values) for part in times]),
            tuple([part(values) for part in accounts]),
            tuple([part(values) for part in ids]) if ids else (),
            rest(values),
            decomposed.users,
            text(values),
        )

    return filled


def _text_filler(text: str) -> Callable[[Values], str]:
    parts = MARKED.split(text)
    pairs, last = list(zip(parts[0::2], map(int, parts[1::2]), strict=False)), parts[-1]
    return lambda values: "".join([f"{before}{values[index]!r}" for before, index in pairs]) + last


def _filled(part: Any, values: Values) -> Any:  # noqa: ANN401 - any argument
    return values[part.index] if isinstance(part, Placeholder) else part


def _marked(part: Any) -> bool:  # noqa: ANN401 - any value of a predicate
    return isinstance(part, Placeholder) or (isinstance(part, tuple) and any(_marked(item) for item in part))


def _compare_filler(compare: Compare) -> Callable[[Values], Compare]:
    match compare:
        case Compare(field, operator, Placeholder(index)):
            return lambda values: Compare(field, operator, values[index])
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


FORMS_MAX: Final = 1024
"""Forms of variables of all documents together; few documents have more than two."""


@dataclass(slots=True, eq=False)
class Variant:
    """An operation for one policy and role and one set of values of the variables that its directives name.

    Holds policy and views, so that their identity stays theirs. `roots` None: not to be compiled, or not covered, which
    `fallback` says.
    """

    policy: Policy
    views: Mapping[str, View]
    roots: Roots | None
    fallback: FallbackError | None = None
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


@dataclass(slots=True, eq=False)
class Filled:
    """A variant for one form of the variables: their values are filled into the templates, one a root.

    `sized`: how large a page is, and so what it costs, is said by a variable.
    """

    variant: Variant
    roots: Roots
    templates: Sequence[Template | None]
    sized: bool
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


class Forms:
    """What was worked out for forms of variables, the least recently used forgotten first. None: nothing can be."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Filled | None] = OrderedDict()

    def get(self, key: Hashable) -> Filled | None:
        """What was kept for the form, if any."""
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def put(self, key: Hashable, make: Callable[[], Filled | None]) -> None:
        """Keep what is made for a form that is new."""
        if key not in self._found:
            self._found[key] = make()
            while len(self._found) > FORMS_MAX:
                self._found.popitem(last=False)
