"""How deep and how wide a document is, and what an operation of it costs before it runs.

The cost is the weight of every field, times the size of the lists around it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
)

from service.api.execution.context import Priced
from service.api.execution.errors import Code, refused
from service.api.execution.limits import DEPTH_MAX as VALUE_DEPTH_MAX
from service.api.execution.limits import MUTATION_POINTS_MAX, OBJECTS_MAX, QUERY_POINTS_MAX, charged, points_of
from service.api.types.directives import Cost, ListSize
from service.query.authorization.selection_set import SelectionReader, fragments_of
from service.query.records.page import PAGE_MAX
from service.query.usage.report_request import FIRST_DEFAULT as ROWS_DEFAULT
from service.query.usage.report_request import FIRST_MAX as ROWS_MAX

TOKENS_MAX: Final = 2_000
DEPTH_MAX: Final = 10
ALIASES_MAX: Final = 30
PAIRS_MAX: Final = 9_500
SPREADS_MAX: Final = 200
SIZED: Final = ("edges", "nodes")
_ROWS: Final = frozenset({*SIZED, "rows"})
FIELDS_MAX: Final = 20_000
BUCKET_POINTS: Final = {
    "MINUTE": 400,
    "QUARTER_HOUR": 300,
    "HOUR": 200,
    "DAY": 50,
    "WEEK": 20,
    "MONTH": 10,
}
"""What the buckets of a cost report add to its price: the finer they are, the more sums are read. Filled ones add it
twice."""
ROWS_A_POINT: Final = 10
"""Of a cost report, beyond the rows that it has when it says nothing."""
OWN_FILTER_POINTS: Final = 300
"""What facets cost more that each leave out a filter of their own: each such facet is read by itself."""
_COSTS: Final = ("Query", "costs")
_REPORTS: Final = (_COSTS, ("Query", "errorGroups"))
_FACETS: Final = ("Query", "facets")
_NODES: Final = ("Query", "nodes")
TOO_MANY_VALUES: Final = "the arguments hold too many values: ask in parts"
Arguments = Callable[[Any, FieldNode], Mapping[str, Any]]
_DEFINITION: Final = "strawberry-definition"


def points_max(operation: OperationDefinitionNode) -> int:
    """How much variables and arguments may hold: mutations may name more than queries."""
    return MUTATION_POINTS_MAX if operation.operation is OperationType.MUTATION else QUERY_POINTS_MAX


class TooManyFieldsError(Exception):
    """The operation selects more fields, or its arguments hold more, than any limit allows."""


class Pricing:
    """Prices operations of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._directives: dict[tuple[str, str], tuple[int, ListSize | None]] = {}

    def price(self, operation: OperationDefinitionNode, document: SelectionReader, arguments: Arguments) -> Priced:
        """The price of an operation, root field by root field. TooManyFieldsError before the walk gets long."""
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        walk = _ComplexityWalk(self, document, arguments, points_max(operation))
        priced = Priced(own=0)
        for type_, node in document.fields(operation.selection_set, root.name):
            name = node.alias.value if node.alias else node.name.value
            part = walk.field(type_, node)
            if name in priced.nested:
                # One answer selected twice is priced as both, which is never too little.
                part.own += priced.nested[name].total()
            priced.nested[name] = part
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
        """The definition of field `field_` of type `type_`; None when the schema has none."""
        return getattr(self._schema.type_map.get(type_), "fields", {}).get(field_)


class _ComplexityWalk:
    """One walk over one operation."""

    def __init__(self, pricing: Pricing, document: SelectionReader, arguments: Arguments, points_max: int) -> None:
        self._pricing = pricing
        self._document = document
        self._arguments = arguments
        self._argument_points = 0
        self._points_max = points_max
        self._visited = 0

    def field(self, parent: str, node: FieldNode) -> Priced:
        """The price of `node`, a field of type `parent`, and of all that is selected under it. Raises
        TooManyFieldsError.
        """
        self._visited += 1
        if self._visited > FIELDS_MAX:
            raise TooManyFieldsError("the operation selects too many fields")
        weight, list_size = self._pricing.priced_as(parent, node.name.value)
        definition = self._pricing.definition(parent, node.name.value)
        given: Mapping[str, Any] = {}
        if definition is not None and node.arguments:
            given = self._arguments(definition, node)
            weight += self._points(given)
            if (parent, node.name.value) in _REPORTS:
                weight += _bucket_points(given)
            elif (parent, node.name.value) == _FACETS and given.get("excludeOwnFilter"):
                weight += OWN_FILTER_POINTS
        if definition is None or node.selection_set is None:
            return Priced(own=weight)
        type_ = get_named_type(definition.type).name
        if (parent, node.name.value) == _COSTS:
            weight += _row_points(given, self._lists_of_rows(node.selection_set, type_))
        own, per_entry = weight, 0
        for child_type, child in self._document.fields(node.selection_set, type_):
            cost = self.field(child_type, child).total()
            if list_size is not None and child.name.value in SIZED:
                own, per_entry = own + 1, per_entry + cost - 1
            else:
                own += cost
        if (parent, node.name.value) == _NODES:
            own *= max(1, len(given.get("ids") or ()))
        return Priced(own, per_entry, self._size(list_size, given))

    def _points(self, given: Mapping[str, Any]) -> int:
        """What the arguments of one field cost. Bounded over all: whatever they hold is walked for each use again."""
        points = points_of(given)
        self._argument_points += points
        if self._argument_points > self._points_max:
            raise TooManyFieldsError(TOO_MANY_VALUES)
        return charged(points)

    def _lists_of_rows(self, selection_set: SelectionSetNode, type_: str) -> int:
        """How often a cost report's rows are in its answer: each list of them is made and sent."""
        fields = self._document.fields(selection_set, type_)
        return len({(node.alias or node.name).value for _, node in fields if node.name.value in _ROWS})

    def _size(self, list_size: ListSize | None, given: Mapping[str, Any]) -> int:
        if list_size is None:
            return 1
        sizes = [given.get(name) for name in list_size.slicing_arguments or ()]
        size = max([size for size in sizes if isinstance(size, int)], default=list_size.assumed_size or 1)
        # What is out of bounds is refused where the page is read; a negative size must not earn anything here.
        return max(0, min(size, PAGE_MAX))


def _bucket_points(given: Mapping[str, Any]) -> int:
    return BUCKET_POINTS.get(getattr(given.get("bucket"), "name", ""), 0) * (2 if given.get("fillBuckets") else 1)


def _row_points(given: Mapping[str, Any], lists_of_rows: int) -> int:
    first = given.get("first")
    rows = min(first, ROWS_MAX) if isinstance(first, int) else ROWS_DEFAULT
    return max(0, rows * lists_of_rows - ROWS_DEFAULT) // ROWS_A_POINT


def check_size(size: "DocumentSize") -> GraphQLError | None:
    """Refuse a document that nests too deep, repeats itself or names many aliases; None when it may be validated."""
    if size.depth > DEPTH_MAX:
        return refused(Code.QUERY_TOO_DEEP, f"the operation nests deeper than {DEPTH_MAX} fields")
    if size.value_depth > VALUE_DEPTH_MAX:
        return refused(Code.QUERY_TOO_DEEP, f"lists and objects of an argument nest at most {VALUE_DEPTH_MAX} deep")
    if size.aliases > ALIASES_MAX:
        return refused(Code.MAX_COST_EXCEEDED, f"the operation has more than {ALIASES_MAX} aliases")
    if size.objects > OBJECTS_MAX:
        return refused(Code.MAX_COST_EXCEEDED, f"the document's arguments hold more than {OBJECTS_MAX} objects")
    if size.pairs > PAIRS_MAX or size.spreads > SPREADS_MAX:
        return refused(Code.MAX_COST_EXCEEDED, "the document asks for the same fields too often: say each once")
    return None


class DocumentSize:
    """Depth, aliases and repetitions of a document, which need not be valid: fragments may go in circles.

    `pairs`: of fields under one response key, anywhere in the document: as many as validation may have to compare.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._depths: dict[str, int] = {}
        self.depth = self.value_depth = self.aliases = self.spreads = self.objects = self.nodes = 0
        keys: Counter[str] = Counter()
        self._walk(document, keys)
        self.pairs = sum(number * number for number in keys.values())
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self.depth = max(self.depth, self._depth(definition.selection_set, 1))

    def _walk(self, document: DocumentNode, keys: Counter[str]) -> None:
        """Count the nodes, by what they are. Introspection counts like anything else but for its depth."""
        pending: list[tuple[Node, int]] = [(document, 0)]
        while pending:
            node, depth = pending.pop()
            self.nodes += 1
            if isinstance(node, FieldNode):
                keys[node.alias.value if node.alias else node.name.value] += 1
                self.aliases += node.alias is not None
            elif isinstance(node, FragmentSpreadNode):
                self.spreads += 1
            elif isinstance(node, ListValueNode | ObjectValueNode):
                depth += 1
                self.value_depth = max(self.value_depth, depth)
                self.objects += isinstance(node, ObjectValueNode)
            for key in node.keys:
                inner = getattr(node, key, None)
                if isinstance(inner, Node):
                    pending.append((inner, depth))
                elif isinstance(inner, list | tuple):
                    pending += [(item, depth) for item in inner if isinstance(item, Node)]

    def _depth(self, selection_set: SelectionSetNode, depth: int) -> int:
        deepest = depth - 1
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                # Introspection has a depth rule of its own (MaxIntrospectionDepthRule), and tools need theirs.
                if selection.name.value in ("__schema", "__type"):
                    continue
                selected = selection.selection_set
                deepest = max(deepest, self._depth(selected, depth + 1) if selected else depth)
            elif isinstance(selection, InlineFragmentNode):
                deepest = max(deepest, self._depth(selection.selection_set, depth))
            elif isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, depth - 1 + self._fragment_depth(selection.name.value))
        return deepest

    def _fragment_depth(self, name: str) -> int:
        # Once a fragment: spreads of spreads would otherwise be walked two to the power of their number.
        if name not in self._depths and name in self._fragments:
            self._depths[name] = 0
            self._depths[name] = self._depth(self._fragments[name].selection_set, 1)
        return self._depths.get(name, 0)
