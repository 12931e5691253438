"""Pages of the records that the service keeps of itself: holds, purges, erasures, accounts, entries of the ledger."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from policies import Role
from service.api.execution.context import Context, Info, reading
from service.api.execution.selection import tree_of
from service.api.types.connections import Connection, CountedConnection, Edge, PageInfo, Slicing
from service.api.types.scalars import Count
from service.query.model.scope import Scope
from service.query.reader import TimedReading
from service.query.records.ordering import CursorError, Cursors, Position
from service.storage.connection import Connection as Database

T = TypeVar("T")
N = TypeVar("N")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RecordPage(Generic[T]):
    """Records of one page with their cursors; `total`: how many there are in all, if that was asked."""

    rows: list[T]
    cursors: list[str]
    info: PageInfo
    total: int = 0

    def connection(self, nodes: list[N]) -> Connection[N]:
        """The connection of the records' `nodes`."""
        return Connection(edges=self._edges(nodes), nodes=nodes, page_info=self.info, total_count=Count(self.total))

    def counted_connection(self, nodes: list[N], total: int) -> CountedConnection[N]:
        """The same where counting has its price."""
        return CountedConnection(edges=self._edges(nodes), nodes=nodes, page_info=self.info, total_count=Count(total))

    def _edges(self, nodes: list[N]) -> list[Edge[N]]:
        return [Edge(cursor=cursor, node=node) for cursor, node in zip(self.cursors, nodes, strict=True)]


class RecordOrder(NamedTuple):
    """An order of records: where one stands in it, and that of a cursor as the statement of a page takes it."""

    position_of: Callable[[Any], Position]
    behind: Callable[[Position | None], Any]


def newest_first(moment: str) -> RecordOrder:
    """The order by the attribute `moment`, newest first, and by id; a page is read behind a moment and id, or None."""
    return RecordOrder(lambda record: position_at(getattr(record, moment), record.id), moment_and_id)


async def read_scoped_page(
    info: Info,
    bound_to: tuple[object, ...],
    slicing: Slicing,
    order: RecordOrder,
    fetch: Callable[[Database, int, Any], Awaitable[list[T]]],
    count: Callable[[Database], Awaitable[int]],
    *,
    reading: Callable[[Context], TimedReading] = reading,
) -> RecordPage[T]:
    """As `read_record_page`, on connections that are kept to the accounts of the one who asks; and `count` says how
    many records there are, where `totalCount` is selected.
    """

    async def fetched(size: int, position: Position | None) -> list[T]:
        """At most `size` records after `position`."""
        async with reading(info.context) as connection:
            return await fetch(connection, size, order.behind(position))

    page = await read_record_page(info, bound_to, slicing, fetched, order.position_of)
    if "totalCount" not in tree_of(info):
        return page
    async with reading(info.context) as connection:
        return replace(page, total=await count(connection))


async def read_record_page(
    info: Info,
    bound_to: tuple[object, ...],
    slicing: Slicing,
    fetch: Callable[[int, Any], Awaitable[list[T]]],
    position_of: Callable[[T], Position],
) -> RecordPage[T]:
    """One page. `fetch` reads so many records after a position (None: from the start), in the order of `position_of`.

    A cursor is valid for what it is `bound_to`. Raises BadInputError for a cursor or a size that is none.
    """
    size, cursors = slicing.size, Cursors(await info.context.reader.keyring.secret("cursor"))
    binding = Cursors.binding(*bound_to)
    position = None if slicing.after is None else cursors.open(slicing.after, binding)
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


def position_at(moment: datetime, id_: UUID | str) -> Position:
    """The position of a record that is ordered by moment and id."""
    return (moment - _EPOCH) // timedelta(microseconds=1), id_.hex if isinstance(id_, UUID) else id_


def moment_and_text(position: Position | None) -> tuple[datetime, str] | None:
    """What `position_at` was made of, the id as text. Raises CursorError for another position."""
    match position:
        case None:
            return None
        case (int(micros), str(id_)):
            with suppress(OverflowError):
                return _EPOCH + timedelta(microseconds=micros), id_
    raise CursorError


def moment_and_id(position: Position | None) -> tuple[datetime, UUID] | None:
    """The same for an id that is a UUID. Raises CursorError for another position."""
    moment_id = moment_and_text(position)
    try:
        return None if moment_id is None else (moment_id[0], UUID(hex=moment_id[1]))
    except ValueError:
        raise CursorError from None


def name_behind(position: Position | None) -> str:
    """The name in a position of records by name; the empty one, which comes before all, where there is none."""
    return str(position[0]) if position else ""
