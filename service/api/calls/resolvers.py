"""Resolvers of the connections: from arguments to a page of the reader, from its rows to edges and nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import strawberry

from service.api.calls.filters import to_predicate
from service.api.calls.objects import groups_of, objects_of
from service.api.execution.context import Context
from service.api.types.calls import Call, CallError, ErrorGroup
from service.api.types.connections import CountedConnection, Edge, PageInfo
from service.api.types.filter_inputs import CallFilter, CallOrder, ErrorFilter, ErrorGroupOrder, ErrorOrder
from service.api.types.scalars import Count
from service.query.authorization.selection_set import SelectionReader, Tree
from service.query.model.catalog import CALLS, ERRORS
from service.query.model.errors import BadInputError
from service.query.records.error_groups import GroupsRequest
from service.query.records.ordering import OrderTerm
from service.query.records.page import PAGE_DEFAULT, PAGE_MAX, PageRequest, PageSelection

Info = strawberry.Info[Context, Any]
T = TypeVar("T")
_ROWS: Final = ("edges", "nodes")


@dataclass(frozen=True, slots=True)
class Slicing:
    """`first`, `after`, `last`, `before` as given."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """Entries on the page. BadInputError outside of 1 to 200, or when both ends are asked for."""
        if self.first is not None and self.last is not None:
            raise BadInputError("give `first` or `last`, not both")
        size = self.last if self.last is not None else self.first
        if size is not None and not 1 <= size <= PAGE_MAX:
            raise BadInputError(f"`first` and `last` are from 1 to {PAGE_MAX}")
        return PAGE_DEFAULT if size is None else size

    @property
    def page(self) -> tuple[int, bool, str | None, str | None]:
        """What a PageRequest holds after predicate and order. Raises BadInputError."""
        return self.size, self.last is not None, self.after, self.before


def to_request(
    filter_: CallFilter | ErrorFilter | None,
    order_by: Sequence[CallOrder] | Sequence[ErrorOrder] | None,
    slicing: Slicing,
) -> PageRequest:
    """The page that the arguments of a connection ask for. Raises BadInputError."""
    return PageRequest(to_predicate(filter_), _terms(order_by), *slicing.page)


def tree_of(info: Info, types: frozenset[str] | None = None) -> Tree:
    """The selection under the field that is being resolved."""
    raw: Any = info._raw_info  # the wrapped info is the only way to the field's nodes
    return SelectionReader(raw.fragments, raw.variable_values).tree(raw.field_nodes, types=types)


def row_selection(tree: Tree) -> Tree:
    """The selection on the rows, by `nodes` and by `edges.node` together."""
    return merged(tree.get("nodes", {}), tree.get("edges", {}).get("node", {}))


def merged(one: Tree, other: Tree) -> Tree:
    """The fields of both selections; where both have a field, the fields of both under it."""
    return {name: merged(one.get(name, {}), other.get(name, {})) for name in {**one, **other}}


def page_selection(tree: Tree) -> PageSelection:
    """What a connection's selection needs to be read: rows, neighbours, the total, columns."""
    info = tree.get("pageInfo", {})
    cursors = "startCursor" in info or "endCursor" in info
    return PageSelection(
        rows=cursors or any(name in tree for name in _ROWS),
        has_next="hasNextPage" in info,
        has_previous="hasPreviousPage" in info,
        total="totalCount" in tree,
        selection=row_selection(tree),
    )


async def resolve_calls(
    info: Info, filter_: CallFilter | None, order_by: list[CallOrder] | None, slicing: Slicing
) -> CountedConnection[Call]:
    """A page of calls inside the caller's scope. Raises BadInputError for arguments that do not fit."""
    tree, context = tree_of(info), info.context
    request = to_request(filter_, order_by, slicing)
    page = await context.reader.page(context.scope, CALLS, request, page_selection(tree))
    nodes = await objects_of(CALLS, page.rows, row_selection(tree), context.reader, context.scope)
    _note(info, page.rows)
    return CountedConnection(
        nodes=nodes,
        edges=_edges(tree, page, nodes),
        page_info=_page_info(tree, page),
        total_count=Count(page.total or 0),
    )


async def resolve_errors(
    info: Info, filter_: ErrorFilter | None, order_by: list[ErrorOrder] | None, slicing: Slicing
) -> CountedConnection[CallError]:
    """A page of error details inside the caller's scope. Raises BadInputError for arguments that do not fit."""
    tree, context = tree_of(info), info.context
    request = to_request(filter_, order_by, slicing)
    page = await context.reader.page(context.scope, ERRORS, request, page_selection(tree))
    nodes = await objects_of(ERRORS, page.rows, row_selection(tree), context.reader, context.scope)
    _note(info, page.rows)
    return CountedConnection(
        nodes=nodes,
        edges=_edges(tree, page, nodes),
        page_info=_page_info(tree, page),
        total_count=Count(page.total or 0),
    )


async def resolve_error_groups(
    info: Info, filter_: ErrorFilter | None, order: ErrorGroupOrder | None, slicing: Slicing
) -> CountedConnection[ErrorGroup]:
    """A page of errors grouped by fingerprint, by `LAST_SEEN` unless ordered otherwise. Raises BadInputError."""
    tree, context = tree_of(info), info.context
    request = GroupsRequest(
        to_predicate(filter_),
        order.field.name if order else "LAST_SEEN",
        order is None or order.direction.name == "DESC",
        slicing.size,
        slicing.after,
    )
    selection = row_selection(tree)
    page = await context.reader.groups(context.scope, request, selection, total="totalCount" in tree)
    nodes = await groups_of(page, context.reader, context.scope)
    _note(info, page.rows)
    return CountedConnection(
        nodes=nodes,
        edges=_edges(tree, page, nodes),
        page_info=_page_info(tree, page),
        total_count=Count(page.total or 0),
    )


def _terms(order_by: Sequence[CallOrder] | Sequence[ErrorOrder] | None) -> tuple[OrderTerm, ...]:
    return tuple(OrderTerm(order.field.name, order.direction.name == "DESC") for order in order_by or ())


def _edges(tree: Tree, page: Any, nodes: Sequence[T]) -> list[Edge[T]]:  # noqa: ANN401 - a page of any kind
    if "edges" not in tree:
        return []
    if "cursor" not in tree["edges"]:
        return [Edge(node=node) for node in nodes]
    return [Edge(cursor=page.cursor(row), node=node) for row, node in zip(page.rows, nodes, strict=True)]


def _page_info(tree: Tree, page: Any) -> PageInfo:  # noqa: ANN401 - a page of any kind
    selected = tree.get("pageInfo", {})
    rows = page.rows
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursor(rows[0]) if rows and "startCursor" in selected else None,
        end_cursor=page.cursor(rows[-1]) if rows and "endCursor" in selected else None,
    )


def _note(info: Info, rows: Sequence[object]) -> None:
    info.context.sizes[tuple(info.path.as_list())] = len(rows)
