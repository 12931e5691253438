"""`sources`: the gateways whose logs are pulled, and how that goes. `calledger sources` adds and removes them."""

from datetime import datetime
from typing import Final

import strawberry

from policies.policy.views import may_ask
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import RecordOrder, name_behind, read_scoped_page
from service.api.types.calls import Node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, described
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_id, encode_id
from service.api.types.scalars import Count
from service.storage.gateways.pull_sources import PullSource, count_sources, get_source, page_sources

PREFIX: Final = "source"
_BY_NAME: Final = RecordOrder(lambda source: (source.name,), name_behind)


@strawberry.type
class Source(Node):
    """A gateway whose log is pulled: how far it was read, and why it cannot be read at the moment."""

    id: strawberry.ID = described("Opaque id, `source_...`.")
    name: str = described("What it is called here.")
    format: str = described("Whose log it is, as `calledger import` names it.")
    address: str = described("Where it is, without user, password and query.")
    account: str | None = described("Whose calls all of them are; null: each call names its own.")
    added_at: datetime = described("When it was added.")
    every_seconds: int = described("How often it is read.")
    rows: Count = described("Rows that it gave so far, those that were read again included.")
    refused: Count = described("Rows of them that were refused; `ingestReport` says why.")
    last_row_at: datetime | None = described("When the newest call began that it had; null: it had none.")
    read_at: datetime | None = described("When it was last read to its end; null: never.")
    lag_seconds: int = described("For how long it was not read to its end.")
    failures: int = described("How often in a row it could not be read.")
    failure: str | None = described("Why it could not be read the last time; null: it could.")
    due_at: datetime = described("When it is read next.")


@strawberry.type
class SourceQuery:
    """Root field of sources; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def sources(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Source] | None:
        """Gateways whose logs are pulled, by name. A key that is bound to accounts is shown the sources of those."""
        context = info.context

        page = await read_scoped_page(
            info, ("sources", context.scope.accounts), Slicing.of(first, after), _BY_NAME, page_sources, count_sources
        )
        return page.connection([await _node(context, one) for one in page.rows])


async def resolve_source(context: Context, id_: str) -> Source | None:
    """A source by its id; None when there is none that the one who asks may see."""
    number = decode_id(PREFIX, id_)
    if number is None or not may_ask(context.scope.policy, context.scope.role, "sources"):
        return None
    async with reading(context) as connection:
        found = await get_source(connection, number)
    return None if found is None else await _node(context, found)


async def _node(context: Context, source: PullSource) -> Source:
    names, now = context.reader.accounts, await context.reader.clock.now()
    return Source(
        id=encode_id(PREFIX, source.id),
        name=source.name,
        format=source.format,
        address=source.shown_address,
        account=None if source.account_id is None else await names.name(source.account_id),
        added_at=source.created_at,
        every_seconds=source.every_s,
        rows=Count(source.rows),
        refused=Count(source.refused),
        last_row_at=source.last_row_at,
        read_at=source.read_at,
        lag_seconds=max(0, round((now - (source.read_at or source.created_at)).total_seconds())),
        failures=source.failures,
        failure=source.failure,
        due_at=source.due_at,
    )
