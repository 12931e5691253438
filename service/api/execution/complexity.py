"""What an operation costs, before it runs: the weight of every field, times the size of the lists around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, OperationType, get_named_type

from service.api.execution.bounds import MUTATION_POINTS_MAX, QUERY_POINTS_MAX, charged, points_of
from service.api.types.directives import Cost, ListSize
from service.query.authorization.selection_set import SelectionReader
from service.query.records.page import PAGE_MAX

SIZED: Final = ("edges", "nodes")
FIELDS_MAX: Final = 20_000
TOO_MANY_VALUES: Final = "the arguments hold too many values: ask in parts"
_SPENT_MAX: Final = 512
Arguments = Callable[[Any, FieldNode], Mapping[str, Any]]
_DEFINITION: Final = "strawberry-definition"


def points_max(operation: OperationDefinitionNode) -> int:
    """How much variables and arguments may hold: whoever may change something names more than whoever reads."""
    return MUTATION_POINTS_MAX if operation.operation is OperationType.MUTATION else QUERY_POINTS_MAX


class TooManyFieldsError(Exception):
    """The operation selects more fields, or its arguments hold more, than any limit allows."""


@dataclass(slots=True)
class Priced:
    """What a field costs, alone and for each entry of the list that it holds; `size` of them were asked for."""

    own: int = 1
    per_entry: int = 0
    size: int = 1
    below: dict[str, "Priced"] = field(default_factory=dict[str, "Priced"])
    _asked: int | None = None
    _spent: dict[tuple[tuple[tuple[str | int, ...], int], ...], int] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """The sum as asked for. Worked out once: a compiled operation is charged for again and again."""
        if self._asked is None:
            self._asked = self.total()
        return self._asked

    def spent(self, sizes: Mapping[tuple[str | int, ...], int]) -> int:
        """The sum with the sizes that the lists really had, remembered: most pages are full ones."""
        key = tuple(sizes.items())
        spent = self._spent.get(key)
        if spent is None:
            if len(self._spent) >= _SPENT_MAX:
                self._spent.clear()
            spent = self._spent[key] = self.total(sizes)
        return spent

    def total(self, sizes: Mapping[tuple[str | int, ...], int] | None = None, path: tuple[str | int, ...] = ()) -> int:
        """The sum. `sizes`: how many entries a list really had, by its path; without them, as asked for."""
        size = self.size if sizes is None else sizes.get(path, self.size)
        rest = sum(part.total(sizes, (*path, name)) for name, part in self.below.items())
        return self.own + self.per_entry * size + rest


class Pricing:
    """Prices operations of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._directives: dict[tuple[str, str], tuple[int, ListSize | None]] = {}

    def price(self, operation: OperationDefinitionNode, document: SelectionReader, arguments: Arguments) -> Priced:
        """The price of an operation, root field by root field. TooManyFieldsError before the walk gets long."""
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        walk = _Walk(self, document, arguments, points_max(operation))
        priced = Priced(own=0)
        for type_, node in document.fields(operation.selection_set, root.name):
            name = node.alias.value if node.alias else node.name.value
            part = walk.field(type_, node)
            if name in priced.below:
                # The same answer asked for in two places: priced as both, which is never too little.
                part.own += priced.below[name].total()
            priced.below[name] = part
        return priced

    def priced_as(self, type_: str, field_: str) -> tuple[int, ListSize | None]:
        """Weight and list size of a field, from its directives."""
        key = (type_, field_)
        if key not in self._directives:
            definition = self.definition(type_, field_)
            source = (definition.extensions or {}).get(_DEFINITION) if definition is not None else None
            directives = getattr(source, "directives", ())
            self._directives[key] = (
                next((directive.weight for directive in directives if isinstance(directive, Cost)), 1),
                next((directive for directive in directives if isinstance(directive, ListSize)), None),
            )
        return self._directives[key]

    def definition(self, type_: str, field_: str) -> Any:  # noqa: ANN401 - graphql-core's field or None
        return getattr(self._schema.type_map.get(type_), "fields", {}).get(field_)


class _Walk:
    """One walk over one operation."""

    def __init__(self, pricing: Pricing, document: SelectionReader, arguments: Arguments, points_max: int) -> None:
        self._pricing = pricing
        self._document = document
        self._arguments = arguments
        self._argument_points = 0
        self._points_max = points_max
        self._visited = 0

    def field(self, parent: str, node: FieldNode) -> Priced:
        self._visited += 1
        if self._visited > FIELDS_MAX:
            raise TooManyFieldsError("the operation selects too many fields")
        weight, list_size = self._pricing.priced_as(parent, node.name.value)
        definition = self._pricing.definition(parent, node.name.value)
        given: Mapping[str, Any] = {}
        if definition is not None and node.arguments:
            given = self._arguments(definition, node)
            weight += self._points(given)
        if definition is None or node.selection_set is None:
            return Priced(own=weight)
        type_ = get_named_type(definition.type).name
        own, per_entry = weight, 0
        for child_type, child in self._document.fields(node.selection_set, type_):
            cost = self.field(child_type, child).total()
            if list_size is not None and child.name.value in SIZED:
                own, per_entry = own + 1, per_entry + cost - 1
            else:
                own += cost
        return Priced(own, per_entry, self._size(list_size, given))

    def _points(self, given: Mapping[str, Any]) -> int:
        """What the arguments of one field cost. Bounded over all: whatever they hold is walked for each use again."""
        points = points_of(given)
        self._argument_points += points
        if self._argument_points > self._points_max:
            raise TooManyFieldsError(TOO_MANY_VALUES)
        return charged(points)

    def _size(self, list_size: ListSize | None, given: Mapping[str, Any]) -> int:
        if list_size is None:
            return 1
        sizes = [given.get(name) for name in list_size.slicing_arguments or ()]
        size = max([size for size in sizes if isinstance(size, int)], default=list_size.assumed_size or 1)
        # What is out of bounds is refused where the page is read; a negative size must not earn anything here.
        return max(0, min(size, PAGE_MAX))
