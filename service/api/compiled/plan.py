"""From a validated document to what a compiled operation answers: response keys by graphql-core's own CollectFields.

Only `calls`, `errors` and `costs` are covered, and of them what `Shape`s can say; anything else is
UnsupportedOperationError, and the operation takes Strawberry's ordinary path.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_non_null_type,
    located_error,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from strawberry.types.execution import ExecutionResult

from service.api.compiled.arguments import Arguments
from service.api.compiled.fallbacks import FallbackError, FallbackReason
from service.api.compiled.report import CompiledReport, report
from service.api.execution.context import Context, Priced, settle
from service.api.execution.selection import page_selection, row_selection
from service.errors import RequestError
from service.query.authorization.selection_set import SelectionReader
from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.errors import QueryTimeoutError
from service.query.model.scope import Scope
from service.query.records.page import FixedColumns, Page, PageRequest, PageSelection
from service.query.records.projection import fixed_projection
from service.query.rendering.functions import count
from service.query.rendering.row_renderer import (
    Rows,
    SelectedField,
    Shape,
    UnsupportedOperationError,
    UnsupportedValueError,
    joined,
)

TABLES: Final[Mapping[str, Table]] = {"calls": CALLS, "errors": ERRORS}
_CONNECTION: Final = frozenset({"__typename", "nodes", "edges", "pageInfo", "totalCount"})
_EDGE: Final = frozenset({"__typename", "cursor", "node"})
_PAGE_INFO: Final = frozenset({"__typename", "hasNextPage", "hasPreviousPage", "startCursor", "endCursor"})
_ENTRIES_MAX: Final = 500


class Shaping:
    """Shapes of one operation, for one set of values of the variables that its directives name."""

    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, Any], values: Any) -> None:  # noqa: ANN401
        self._schema = schema
        self._fragments = {name: FragmentDetails(fragment) for name, fragment in fragments.items()}
        self._values = values
        self._entries = 0

    def roots(self, operation: OperationDefinitionNode) -> dict[str, list[FieldDetails]]:
        """The root fields of `operation` by response key, with fragments and directives resolved."""
        root = self._schema.query_type
        assert root is not None
        fields = collect_fields(self._schema, self._fragments, self._values, root, operation)
        return dict(fields.grouped_field_set)

    def shape(self, operation: OperationDefinitionNode, type_: str, details: list[FieldDetails]) -> Shape:
        """What `details` select of the object type `type_`. Raises UnsupportedOperationError otherwise."""
        parent = self._schema.type_map[type_]
        if not isinstance(parent, GraphQLObjectType):
            raise UnsupportedOperationError
        found = collect_subfields(self._schema, self._fragments, self._values, operation, parent, details)
        entries = []
        for key, nested in found.grouped_field_set.items():
            self._entries += 1
            if self._entries > _ENTRIES_MAX:
                raise UnsupportedOperationError
            entries.append(self._entry(operation, parent, key, nested))
        return Shape(type_, tuple(entries))

    def _entry(
        self, operation: OperationDefinitionNode, parent: GraphQLObjectType, key: str, details: list[FieldDetails]
    ) -> SelectedField:
        node = details[0].node
        name = node.name.value
        if name == "__typename":
            return SelectedField(key, name, True)
        if any(detail.node.arguments for detail in details):
            # What the gate remembers knows only the arguments of root fields.
            raise UnsupportedOperationError
        definition = parent.fields[name]
        nested = None
        if node.selection_set is not None:
            nested = self.shape(operation, get_named_type(definition.type).name, details)
        return SelectedField(key, name, is_non_null_type(definition.type), nested)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledConnection:
    """One root field: its response key and nodes, what to read, and how its page is answered."""

    key: str
    nodes: Sequence[FieldNode]
    table: Table
    shape: Shape
    page_selection: PageSelection
    columns: FixedColumns | None
    edge_cursors: bool
    rows: Rows

    def request(self, arguments: Arguments, given: Mapping[str, Any]) -> PageRequest:
        """Raises what the resolver would raise."""
        return arguments.request(self.table, given)

    async def answer(self, context: Context, make: Callable[[], PageRequest]) -> dict[str, Any]:
        """The connection as JSON values. Raises UnsupportedValueError where the schema might refuse one."""
        reader, scope = context.reader, context.scope
        page = await reader.page(scope, self.table, make(), self.page_selection, self.columns)
        answers = iter(await self.rows.answer(reader, scope, page.rows, page.account))
        cursors = page.edge_cursors() if self.edge_cursors else []
        data: dict[str, Any] = {}
        for entry in self.shape.entries:
            match entry.field:
                case "nodes":
                    data[entry.key] = next(answers)
                case "edges":
                    data[entry.key] = _edges(entry, page, answers, cursors)
                case "pageInfo":
                    data[entry.key] = _page_info(entry, page, cursors)
                case "totalCount":
                    data[entry.key] = count(page.total or 0)
                case _:
                    data[entry.key] = self.shape.type
        context.sizes[(self.key,)] = len(page.rows)
        return data


Root = CompiledConnection | CompiledReport
Roots = list[tuple[str, Root | None]]
"""Root fields by response key; None: `__typename`."""


def root_field(
    shaping: Shaping,
    operation: OperationDefinitionNode,
    document: SelectionReader,
    key: str,
    details: list[FieldDetails],
    scope: Scope,
) -> Root:
    """What one root field asks for. UnsupportedOperationError where the compiled form does not reach."""
    nodes = [detail.node for detail in details]
    if nodes[0].name.value == "costs":
        return report(key, nodes, shaping.shape(operation, "CostReport", details), document.tree(nodes), scope)
    table = TABLES.get(nodes[0].name.value)
    if table is None:
        raise UnsupportedOperationError
    shape = shaping.shape(operation, "CallConnection" if table is CALLS else "CallErrorConnection", details)
    tree = document.tree(nodes)
    _check(shape, _CONNECTION)
    shapes = []
    for entry in shape.entries:
        if entry.field == "nodes" and entry.nested is not None:
            shapes.append(entry.nested)
        elif entry.field == "edges" and entry.nested is not None:
            _check(entry.nested, _EDGE)
            shapes += [edge.nested for edge in entry.nested.entries if edge.nested is not None]
        elif entry.nested is not None:
            _check(entry.nested, _PAGE_INFO)
    rows = Rows(table, row_selection(tree), shapes, scope)
    selected = page_selection(tree)
    projection, texts = fixed_projection(table, selected.selection, scope), table.written_on(selected.selection)
    columns = None if projection is None else FixedColumns(projection, texts)
    return CompiledConnection(key, nodes, table, shape, selected, columns, "cursor" in tree.get("edges", {}), rows)


def _check(shape: Shape, covered: frozenset[str]) -> None:
    if not covered >= {entry.field for entry in shape.entries}:
        raise UnsupportedOperationError


def _edges(entry: SelectedField, page: Page, answers: Any, cursors: list[str]) -> list[dict[str, Any]]:  # noqa: ANN401
    assert entry.nested is not None
    lists = []
    for edge in entry.nested.entries:
        if edge.field == "node":
            lists.append(next(answers))
        elif edge.field == "cursor":
            lists.append(cursors)
        else:
            lists.append([entry.nested.type] * len(page.rows))
    return joined(tuple([edge.key for edge in entry.nested.entries]))(*lists)


def _page_info(entry: SelectedField, page: Page, cursors: list[str]) -> dict[str, Any]:
    """`cursors`: of all rows, where they are sealed already."""
    assert entry.nested is not None
    data: dict[str, Any] = {}
    for part in entry.nested.entries:
        match part.field:
            case "hasNextPage":
                data[part.key] = bool(page.has_next)
            case "hasPreviousPage":
                data[part.key] = bool(page.has_previous)
            case "startCursor":
                data[part.key] = _end(page, cursors, 0)
            case "endCursor":
                data[part.key] = _end(page, cursors, -1)
            case _:
                data[part.key] = entry.nested.type
    return data


def _end(page: Page, cursors: list[str], index: int) -> str | None:
    if not page.rows:
        return None
    return cursors[index] if cursors else page.cursor(page.rows[index])


Requests = Sequence[Callable[[], Any] | None]
"""What makes the request of each root, in step."""
Requested = tuple[Roots, Requests, Priced]


async def run(roots: Roots, requests: Requests, priced: Priced, context: Context) -> ExecutionResult | None:
    """The answer of what is asked and paid for; None where the ordinary path has to refuse it.

    Raises FallbackError where it has to answer.
    """
    data: dict[str, Any] = {}
    errors: list[GraphQLError] = []
    try:
        answers = await _answers(roots, requests, context)
    except (FallbackError, GraphQLError) as error:
        # The ordinary path meets the same error, adds its path, and logs it.
        context.bucket.give_back(context.requested_cost)
        context.requested_cost = 0
        context.sizes.clear()
        if isinstance(error, FallbackError):
            raise
        return None
    for (key, _), answer in zip(roots, answers, strict=True):
        failed = isinstance(answer, _Failed)
        if failed:
            errors.append(answer.error)
        data[key] = None if failed else answer
    return ExecutionResult(data, errors or None, settle(priced, context, answered=True))


async def _answers(roots: Roots, requests: Requests, context: Context) -> Sequence[Any]:
    """What each root answers, in step: its data, or how it failed; one that fails leaves the others theirs."""
    if len(roots) == 1:
        return [await _root(roots[0][1], requests[0], context)]
    work = [(root, make) for (_, root), make in zip(roots, requests, strict=True) if root and make]
    tasks = [asyncio.ensure_future(_root(root, make, context)) for root, make in work]
    try:
        answers = iter(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return ["Query" if root is None else next(answers) for _, root in roots]


async def _root(root: Any, make_request: Any, context: Context) -> "dict[str, Any] | _Failed":  # noqa: ANN401
    try:
        return await root.answer(context, make_request)
    except (RequestError, QueryTimeoutError) as error:
        return _Failed(located_error(error, root.nodes, [root.key]))
    except GraphQLError:
        raise  # an argument that the ordinary path refuses
    except Exception as error:
        reason = FallbackReason.VALUE if isinstance(error, UnsupportedValueError) else FallbackReason.FAILURE
        raise FallbackError(reason, root.nodes[0].name.value) from error


class _Failed(NamedTuple):
    """Stands for the data of a root field that has none."""

    error: GraphQLError
