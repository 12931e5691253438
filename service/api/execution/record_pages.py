"""Pages of the records that the service keeps of itself: holds, purges, erasures, accounts, entries of the ledger."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from policies import Role
from service.api.execution.context import Info
from service.api.types.connections import Connection, CountedConnection, Edge, PageInfo, Slicing
from service.api.types.declarations import given
from service.api.types.scalars import Count
from service.query.model.scope import Scope
from service.query.records.ordering import CursorError, Cursors, Position

T = TypeVar("T")
N = TypeVar("N")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RecordPage(Generic[T]):
    """Records of one page with their cursors."""

    rows: list[T]
    cursors: list[str]
    info: PageInfo

    def connection(self, nodes: list[N], total: int) -> Connection[N]:
        """The connection of the records' `nodes`, of `total` in all."""
        return Connection(edges=self._edges(nodes), nodes=nodes, page_info=self.info, total_count=Count(total))

    def counted_connection(self, nodes: list[N], total: int) -> CountedConnection[N]:
        """The same where counting has its price."""
        return CountedConnection(edges=self._edges(nodes), nodes=nodes, page_info=self.info, total_count=Count(total))

    def _edges(self, nodes: list[N]) -> list[Edge[N]]:
        return [Edge(cursor=cursor, node=node) for cursor, node in zip(self.cursors, nodes, strict=True)]


async def read_record_page(
    info: Info,
    bound_to: tuple[object, ...],
    first: Any,  # noqa: ANN401 - an argument as given
    after: Any,  # noqa: ANN401
    fetch: Callable[[int, Any], Awaitable[list[T]]],
    position_of: Callable[[T], Position],
) -> RecordPage[T]:
    """One page. `fetch` reads so many records after a position (None: from the start), in the order of `position_of`.

    A cursor is valid for what it is `bound_to`. Raises BadInputError for a cursor or a size that is none.
    """
    size, cursors = Slicing(given(first)).size, Cursors(await info.context.reader.keyring.secret("cursor"))
    binding = Cursors.binding(*bound_to)
    position = cursors.open(after, binding) if given(after) is not None else None
    found = await fetch(size + 1, position)
    rows = found[:size]
    sealed = [cursors.seal(position_of(row), binding) for row in rows]
    info.context.sizes[tuple(info.path.as_list())] = len(rows)
    start, end = (sealed[0], sealed[-1]) if sealed else (None, None)
    more, before = len(found) > size, position is not None
    page_info = PageInfo(has_next_page=more, has_previous_page=before, start_cursor=start, end_cursor=end)
    return RecordPage(rows, sealed, page_info)


def own_key(scope: Scope) -> str | None:
    """The key whose own records alone are shown; None for admins of every account, who are shown everybody's."""
    return None if scope.role is Role.ADMIN and scope.accounts is None else scope.key_id


def position_at(moment: datetime, id_: UUID) -> Position:
    """The position of a record that is ordered by moment and id."""
    return (moment - _EPOCH) // timedelta(microseconds=1), id_.hex


def moment_and_id(position: Any) -> tuple[datetime, UUID] | None:  # noqa: ANN401 - a position of any list
    """What `position_at` was made of. Raises CursorError for another position."""
    if position is None:
        return None
    try:
        micros, id_ = position
        return _EPOCH + timedelta(microseconds=micros), UUID(hex=id_)
    except (ValueError, TypeError, OverflowError):
        raise CursorError from None
