"""API keys as they are asked for. A key that is bound to accounts sees those that are bound to no other ones."""

from datetime import UTC, datetime, timedelta
from typing import Final

import strawberry

from policies.policy import views
from service.api.execution.context import Context, Info
from service.api.execution.record_pages import read_record_page
from service.api.keys.types import ApiKey, decode_key_id, key_node, key_nodes
from service.api.types.connections import After, Connection, First
from service.api.types.declarations import UNSET
from service.api.types.directives import Cost, paged
from service.query.records.ordering import CursorError, Position
from service.storage.control.api_keys import KeyRecord, find_key, number_of_keys, page_keys

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@strawberry.type
class KeyQuery:
    """Root fields of API keys; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def api_keys(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[ApiKey] | None:
        """Keys, newest first, without their secrets; those that have ended included (admin)."""
        context, accounts = info.context, info.context.scope.accounts
        async with context.reader.connection(context.scope) as connection:

            async def fetch(size: int, position: Position | None) -> list[KeyRecord]:
                """At most `size` keys after `position`, newest first."""
                return await page_keys(connection, size, _moment_and_prefix(position), accounts)

            page = await read_record_page(info, ("apiKeys", accounts), first, after, fetch, _position)
            total = await number_of_keys(connection, accounts)
        return page.connection(await key_nodes(context, page.rows), total)


async def resolve_key(context: Context, id_: str) -> ApiKey | None:
    """A key by its id; None when there is none that the one who asks may see."""
    prefix, scope = decode_key_id(id_), context.scope
    if prefix is None or not views.may_ask(scope.policy, scope.role, "apiKeys"):
        return None
    async with context.reader.connection(scope) as connection:
        record = await find_key(connection, prefix, scope.accounts)
    return None if record is None else await key_node(context, record)


def _position(record: KeyRecord) -> Position:
    return (record.created_at - _EPOCH) // _MICROSECOND, record.prefix


def _moment_and_prefix(position: Position | None) -> tuple[datetime, str] | None:
    match position:
        case None:
            return None
        case (int(micros), str(prefix)):
            return _EPOCH + timedelta(microseconds=micros), prefix
    raise CursorError
