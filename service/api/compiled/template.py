"""What is worked out of the arguments of one root field: the next request of the form only fills in its own values."""

from collections.abc import Callable
from typing import Any, Final

from graphql import FieldNode, GraphQLField, get_argument_values
from graphql.execution.values import VariableValues

from service.api.compiled.arguments import Arguments
from service.api.compiled.variables import MARKED, Placeholder, Values
from service.api.types.connections import Slicing
from service.query.filters.decomposition import DecomposedFilter, decompose
from service.query.model.catalog import Table
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch, fields_of
from service.query.records.page import PageRequest

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
            self.sized = any(_marked(getattr(self._slicing, name)) for name in _SLICING)
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
        slicing = self._filled_slicing(values)
        return slicing.first, slicing.last

    def request(self, values: Values) -> PageRequest:
        """Raises BadInputError, as the resolver would."""
        page = self._filled_slicing(values).page if self.sized else self._page
        return PageRequest(self._filter(values), self._terms, *page)

    def _filled_slicing(self, values: Values) -> Slicing:
        return Slicing(*(_filled(getattr(self._slicing, name), values) for name in _SLICING))


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
            tuple([part(values) for part in ids]),
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
