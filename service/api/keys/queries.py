"""API keys as they are asked for. A key that is bound to accounts sees those that are bound to no other ones."""

from typing import Final

import strawberry

from policies.policy import views
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import RecordOrder, moment_and_text, position_at, read_scoped_page
from service.api.keys.types import ApiKey, decode_key_id, key_node, key_nodes
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET
from service.api.types.directives import Cost, paged
from service.storage.control.api_keys import find_key, number_of_keys, page_keys

_NEWEST_FIRST: Final = RecordOrder(lambda key: position_at(key.created_at, key.prefix), moment_and_text)


@strawberry.type
class KeyQuery:
    """Root fields of API keys; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def api_keys(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[ApiKey] | None:
        """Keys, newest first, without their secrets; those that have ended included (admin)."""
        context, accounts = info.context, info.context.scope.accounts
        page = await read_scoped_page(
            info,
            ("apiKeys", accounts),
            Slicing.of(first, after),
            _NEWEST_FIRST,
            lambda connection, size, behind: page_keys(connection, size, behind, accounts),
            lambda connection: number_of_keys(connection, accounts),
        )
        return page.connection(await key_nodes(context, page.rows))


async def resolve_key(context: Context, id_: str) -> ApiKey | None:
    """A key by its id; None when there is none that the one who asks may see."""
    prefix, scope = decode_key_id(id_), context.scope
    if prefix is None or not views.may_ask(scope.policy, scope.role, "apiKeys"):
        return None
    async with reading(context) as connection:
        record = await find_key(connection, prefix, scope.accounts)
    return None if record is None else await key_node(context, record)
