"""The fields that an operation selects under a field, and the columns that a connection needs for them."""

from typing import Any, Final

from service.api.execution.context import Info
from service.query.authorization.selection_set import SelectionReader, Tree
from service.query.records.page import PageSelection

_ROWS: Final = ("edges", "nodes")


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
