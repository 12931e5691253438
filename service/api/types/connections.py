"""Connections (Relay cursor connections specification): edges, the nodes alone, and how to go on.

In the schema `Edge[Call]` is `CallEdge`, and `Connection[Hold]` is `HoldConnection`.
"""

from typing import Any, Generic, TypeVar

import strawberry

from service.api.types.directives import Cost
from service.api.types.scalars import Count

T = TypeVar("T")


def _field(description: str, *, weight: int | None = None) -> Any:  # noqa: ANN401 - any type
    return strawberry.field(description=description, default=None, directives=[Cost(weight=weight)] if weight else [])


@strawberry.type
class PageInfo:
    """How to go on from this page."""

    has_next_page: bool = _field("Whether there is more after the page.")
    has_previous_page: bool = _field("Whether there is more before the page.")
    start_cursor: str | None = _field("Cursor of the page's first entry.")
    end_cursor: str | None = _field("Cursor of the page's last entry.")


@strawberry.type(description="An entry of a list, and where it stands there.")
class Edge(Generic[T]):
    """An entry and its cursor, which is sealed (`Cursors`)."""

    cursor: str = _field("For `after` and, where there is one, `before`; opaque, and for this filter and order only.")
    node: T = _field("The entry.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list that counts itself."""

    edges: list[Edge[T]] = _field("The entries with their cursors.")
    nodes: list[T] = _field("The entries.")
    page_info: PageInfo = _field("How to go on.")
    total_count: Count = _field("How many there are in all.")


@strawberry.type(name="Connection", description="A page of a list.")
class CountedConnection(Generic[T]):
    """A page of a list whose rows have to be counted one by one: `totalCount` has its price."""

    edges: list[Edge[T]] = _field("The entries with their cursors.")
    nodes: list[T] = _field("The entries.")
    page_info: PageInfo = _field("How to go on.")
    total_count: Count = _field("How many match in all; counted only when asked for.", weight=50)
