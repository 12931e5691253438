"""Connections: edges, the nodes alone, and how to go on."""

from typing import Any

import strawberry

from service.api.types.calls import Call, CallError, ErrorGroup
from service.api.types.directives import Cost


def _field(description: str, *, weight: int | None = None) -> Any:  # noqa: ANN401 - any type
    return strawberry.field(description=description, default=None, directives=[Cost(weight=weight)] if weight else [])


@strawberry.type
class PageInfo:
    """How to go on from this page."""

    has_next_page: bool = _field("Whether there is more after the page.")
    has_previous_page: bool = _field("Whether there is more before the page.")
    start_cursor: str | None = _field("Cursor of the page's first entry.")
    end_cursor: str | None = _field("Cursor of the page's last entry.")


@strawberry.type
class CallEdge:
    """A call in its place in the list."""

    cursor: str = _field("For `after` and `before`; opaque, and good for this filter and order only.")
    node: Call = _field("The call.")


@strawberry.type
class CallConnection:
    """A page of calls."""

    edges: list[CallEdge] = _field("The calls with their cursors.")
    nodes: list[Call] = _field("The calls.")
    page_info: PageInfo = _field("How to go on.")
    total_count: int = _field("How many calls match in all; counted only when asked for.", weight=50)


@strawberry.type
class CallErrorEdge:
    """An error in its place in the list."""

    cursor: str = _field("For `after` and `before`; opaque, and good for this filter and order only.")
    node: CallError = _field("The error.")


@strawberry.type
class CallErrorConnection:
    """A page of errors."""

    edges: list[CallErrorEdge] = _field("The errors with their cursors.")
    nodes: list[CallError] = _field("The errors.")
    page_info: PageInfo = _field("How to go on.")
    total_count: int = _field("How many errors match in all; counted only when asked for.", weight=50)


@strawberry.type
class ErrorGroupEdge:
    """A group of errors in its place in the list."""

    cursor: str = _field("For `after`; opaque, and good for this filter and order only.")
    node: ErrorGroup = _field("The group.")


@strawberry.type
class ErrorGroupConnection:
    """A page of groups of errors."""

    edges: list[ErrorGroupEdge] = _field("The groups with their cursors.")
    nodes: list[ErrorGroup] = _field("The groups.")
    page_info: PageInfo = _field("How to go on.")
    total_count: int = _field("How many groups match in all; counted only when asked for.", weight=50)
