"""`export` and `exports`: files that were asked for, by the keys that asked, and by admins of every account."""

from typing import Annotated

import strawberry

from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import newest_first, own_key, read_scoped_page
from service.api.exports.types import Export, decode_export_id, export_node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument
from service.api.types.directives import Cost, paged
from service.storage.control.exports import ExportRecord, count_exports, get_export, page_exports

ExportId = Annotated[strawberry.ID, argument("Its id, `exp_...`.")]


@strawberry.type
class ExportQuery:
    """Root fields of exports; part of `Query`."""

    @strawberry.field(directives=[Cost(weight=2)])
    async def export(self, info: Info, id: ExportId) -> Export | None:
        """One export and its download; null when it is unknown, or another key's. Admins of every account are given
        anybody's.
        """
        return await resolve_export(info.context, id)

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def exports(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Export] | None:
        """The key's own exports, newest first; everybody's for admins of every account. What ended is forgotten after
        30 days.
        """
        scope, own = info.context.scope, own_key(info.context.scope)

        page = await read_scoped_page(
            info,
            ("exports", own),
            Slicing.of(first, after),
            newest_first("requested_at"),
            lambda connection, size, behind: page_exports(connection, size, requested_by=own, behind=behind),
            lambda connection: count_exports(connection, own),
        )
        return page.connection(
            [export_node(one, readable=one.may_be_read_by(scope, scope.policy)) for one in page.rows]
        )


async def resolve_export(context: Context, id_: str) -> Export | None:
    """The export, if there is one that the scope reaches."""
    record = await reached_export(context, id_)
    return None if record is None else export_node(record)


async def reached_export(context: Context, id_: str) -> ExportRecord | None:
    """The record of the export with this outward id, if the scope reaches it."""
    number = decode_export_id(id_)
    if number is None:
        return None
    async with reading(context) as connection:
        record = await get_export(connection, number)
    return record if record is not None and record.may_be_read_by(context.scope, context.scope.policy) else None
