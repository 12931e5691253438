"""API keys as they are asked for. A key that is bound to accounts sees those that are bound to no other ones."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import strawberry

from policies.policy import views
from service.api.calls.resolvers import Slicing
from service.api.execution.context import Context
from service.api.keys.types import ApiKey, decode_key_id, key_node
from service.api.types.connections import Connection, Edge, PageInfo
from service.api.types.directives import Cost, paged
from service.query.records.ordering import CursorError, Cursors
from service.storage.control.api_keys import KeyRecord, find_key, number_of_keys, page_keys

Info = strawberry.Info[Context, Any]
UNSET: Any = strawberry.UNSET
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _argument(description: str) -> Any:  # noqa: ANN401 - Strawberry's marker
    return strawberry.argument(description=description)


First = Annotated[int | None, _argument("How many: 1 to 200, 50 when not given.")]
After = Annotated[str | None, _argument("Go on after this cursor.")]


@strawberry.type
class KeyQuery:
    """Root fields of API keys; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def api_keys(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[ApiKey] | None:
        """Keys, newest first, without their secrets; those that have ended included (admin)."""
        context = info.context
        size, accounts = Slicing(None if first is UNSET else first).size, context.scope.accounts
        cursors = Cursors(await context.reader.keyring.secret("cursor"))
        binding = Cursors.binding("apiKeys", accounts)
        position = None if after in (None, UNSET) else _position(cursors.open(after, binding))
        async with context.reader.connection(context.scope) as connection:
            found = await page_keys(connection, size + 1, position, accounts)
            total = await number_of_keys(connection, accounts)
        records = found[:size]
        nodes = [await key_node(context, record) for record in records]
        sealed = [cursors.seal(_stored(record), binding) for record in records]
        context.sizes[tuple(info.path.as_list())] = len(nodes)
        return Connection(
            edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(sealed, nodes, strict=True)],
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=len(found) > size,
                has_previous_page=position is not None,
                start_cursor=sealed[0] if sealed else None,
                end_cursor=sealed[-1] if sealed else None,
            ),
            total_count=total,
        )


async def resolve_key(context: Context, id_: str) -> ApiKey | None:
    """A key by its id; None when there is none that the one who asks may see."""
    prefix, scope = decode_key_id(id_), context.scope
    if prefix is None or not views.may_ask(scope.policy, scope.role, "apiKeys"):
        return None
    async with context.reader.connection(scope) as connection:
        record = await find_key(connection, prefix, scope.accounts)
    return None if record is None else await key_node(context, record)


def _stored(record: KeyRecord) -> tuple[int, str]:
    return (record.created_at - _EPOCH) // _MICROSECOND, record.prefix


def _position(stored: tuple[Any, ...]) -> tuple[datetime, str]:
    match stored:
        case (int(micros), str(prefix)):
            return _EPOCH + timedelta(microseconds=micros), prefix
    raise CursorError
