"""Resolvers of the connections: from arguments to a page of the reader, from its rows to edges and nodes."""

from collections.abc import Sequence
from typing import Any, TypeVar

from service.api.calls.filters import to_predicate
from service.api.calls.objects import groups_of, objects_of
from service.api.execution.context import Info
from service.api.execution.selection import page_selection, row_selection, tree_of
from service.api.types.calls import ErrorGroup
from service.api.types.connections import CountedConnection, Edge, PageInfo, Slicing
from service.api.types.declarations import given
from service.api.types.filter_inputs import CallFilter, CallOrder, ErrorFilter, ErrorGroupOrder, ErrorOrder
from service.api.types.scalars import Count
from service.query.authorization.selection_set import Tree
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.catalog import Table
from service.query.records.error_groups import GroupsRequest
from service.query.records.ordering import OrderTerm
from service.query.records.page import PageRequest

T = TypeVar("T")


def to_request(
    filter_: CallFilter | ErrorFilter | None,
    order_by: Sequence[CallOrder] | Sequence[ErrorOrder] | None,
    slicing: Slicing,
) -> PageRequest:
    """The page that the arguments of a connection ask for. Raises BadInputError."""
    return PageRequest(to_predicate(filter_), _terms(order_by), *slicing.page)


async def resolve_rows(
    info: Info,
    table: Table,
    filter_: Any,  # noqa: ANN401 - the table's filter and order, or not given
    order_by: Any,  # noqa: ANN401
    slicing: Slicing,
) -> CountedConnection[Any]:
    """A page of calls or errors inside the caller's scope. Raises BadInputError for arguments that do not fit."""
    tree, context = tree_of(info), info.context
    request = to_request(given(filter_), given(order_by), slicing)
    page = await context.reader.page(context.scope, table, request, page_selection(tree))
    return _connection(
        info, tree, page, await objects_of(table, page.rows, row_selection(tree), context.reader, context.scope)
    )


async def resolve_error_groups(
    info: Info,
    filter_: ErrorFilter | None,
    order: ErrorGroupOrder | None,
    slicing: Slicing,
    bucket: TimeBucket | None = None,
    zone: str | None = None,
) -> CountedConnection[ErrorGroup]:
    """A page of errors grouped by fingerprint, by `LAST_SEEN` unless ordered otherwise. Raises BadInputError."""
    tree, context = tree_of(info), info.context
    request = GroupsRequest(
        to_predicate(filter_),
        order.field.name if order else "LAST_SEEN",
        order is None or order.direction.name == "DESC",
        slicing.size,
        slicing.after,
        bucket,
        zone or "UTC",
    )
    selection = row_selection(tree)
    page = await context.reader.groups(context.scope, request, selection, total="totalCount" in tree)
    return _connection(info, tree, page, await groups_of(page, context.reader, context.scope))


def _terms(order_by: Sequence[CallOrder] | Sequence[ErrorOrder] | None) -> tuple[OrderTerm, ...]:
    return tuple(OrderTerm(order.field.name, order.direction.name == "DESC") for order in order_by or ())


def _connection(info: Info, tree: Tree, page: Any, nodes: list[T]) -> CountedConnection[T]:  # noqa: ANN401
    info.context.sizes[tuple(info.path.as_list())] = len(page.rows)
    edges, page_info = _edges(tree, page, nodes), _page_info(tree, page)
    return CountedConnection(nodes=nodes, edges=edges, page_info=page_info, total_count=Count(page.total or 0))


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
