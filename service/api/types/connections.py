"""Connections (Relay cursor connections specification): edges, the nodes alone, and how to go on.

In the schema `Edge[Call]` is `CallEdge`, and `Connection[Hold]` is `HoldConnection`.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from service.api.types.declarations import argument, given, selected
from service.api.types.scalars import Count
from service.query.model.errors import BadInputError
from service.query.records.page import PAGE_DEFAULT, PAGE_MAX

T = TypeVar("T")
First = Annotated[int | None, argument("How many: 1 to 200, 50 when not given.")]
After = Annotated[str | None, argument("Go on after this cursor.")]


@strawberry.type
class PageInfo:
    """How to go on from this page."""

    has_next_page: bool = selected("Whether there is more after the page.")
    has_previous_page: bool = selected("Whether there is more before the page.")
    start_cursor: str | None = selected("Cursor of the page's first entry.")
    end_cursor: str | None = selected("Cursor of the page's last entry.")


@strawberry.type(description="An entry of a list, and where it stands there.")
class Edge(Generic[T]):
    """An entry and its cursor, which is sealed (`Cursors`)."""

    cursor: str = selected("For `after` and, where there is one, `before`; opaque, and for this filter and order only.")
    node: T = selected("The entry.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list that counts itself."""

    edges: list[Edge[T]] = selected("The entries with their cursors.")
    nodes: list[T] = selected("The entries.")
    page_info: PageInfo = selected("How to go on.")
    total_count: Count = selected("How many there are in all.")


@strawberry.type(name="Connection", description="A page of a list.")
class CountedConnection(Generic[T]):
    """A page of a list whose rows have to be counted one by one: `totalCount` has its price."""

    edges: list[Edge[T]] = selected("The entries with their cursors.")
    nodes: list[T] = selected("The entries.")
    page_info: PageInfo = selected("How to go on.")
    total_count: Count = selected("How many match in all; counted only when asked for.", weight=50)


@dataclass(frozen=True, slots=True)
class Slicing:
    """`first`, `after`, `last`, `before` as given."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @classmethod
    def of(cls, *arguments: Any) -> "Slicing":  # noqa: ANN401 - each may be UNSET
        """The arguments of a connection, in the order of the fields."""
        return cls(*map(given, arguments))

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
