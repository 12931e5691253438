"""The change feed in the schema: what was recorded, in the order of commits."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from service.api.calls.filters import to_predicate
from service.api.calls.objects import objects_of
from service.api.execution.context import Context
from service.api.execution.selection import row_selection, tree_of
from service.api.types.calls import Call
from service.api.types.connections import Edge, PageInfo, Slicing
from service.api.types.declarations import UNSET, argument, given, selected, value
from service.api.types.directives import Cost, paged
from service.api.types.filter_inputs import FilterArgument
from service.api.types.scalars import BigInt
from service.query.authorization.selection_set import Tree
from service.query.model.catalog import CALLS
from service.query.records.changes import ChangesPage, ChangesRequest, RecordedChange

Info = strawberry.Info[Context, Any]


@strawberry.enum(name="ChangeKind", description="What happened to a call.")
class ChangeKind(Enum):
    """The kinds of `service.storage.statements.changes`, by their names."""

    CALL = value("CALL", "The call was recorded.")
    CORRECTION = value("CORRECTION", "A correction of a call was recorded; it is `call`.")
    COMPLETION = value("COMPLETION", "A later report filled in what was unknown of `call`.")


@strawberry.type
class Change:
    """Something that was recorded, and its place in the order of commits."""

    kind: ChangeKind = selected("What happened.")
    recorded_at: datetime = selected(
        "When the change got its place, a moment after its commit; never earlier than that of the change before it."
    )
    call: Call = selected("The call as it is now; of a CORRECTION the correction, whose `corrects` is the call.")


@strawberry.type
class ChangeConnection:
    """A part of the change feed. It may hold fewer changes than asked for, or none, and go on behind `endCursor`."""

    edges: list[Edge[Change]] = selected("The changes with their cursors.")
    nodes: list[Change] = selected("The changes.")
    page_info: PageInfo = selected("How to go on: `endCursor` is there always, also without any change.")
    unreadable: int | None = selected(
        "How many changes of this part are of calls that are past their window or erased; null where a filter leaves "
        "out others."
    )


@strawberry.type
class ChangeSum:
    """A checksum of the changes of one account in one hour, to compare with what was received."""

    hour: datetime = selected("When the hour begins, in UTC.")
    account: str = selected("The account.")
    changes: BigInt = selected("How many changes it has.")
    checksum: str = selected(
        "Sum modulo 2^64 of the first 8 bytes of SHA-256 over `KIND call_id` of each change, as 16 hexadecimal digits."
    )


@strawberry.type
class ChangeSums:
    """Checksums by hour and account."""

    settled: bool = selected("Whether no further change can have a recordedAt in this time.")
    sums: list[ChangeSum] = selected("By hour, then account; only changes whose recordedAt is in the time asked for.")


After = Annotated[
    str | None, argument("Go on after this cursor; from the oldest change inside the window when not given.")
]
Since = Annotated[datetime, argument("From this recordedAt on.")]
Until = Annotated[datetime, argument("To before this recordedAt, 31 days later at most.")]
ToCursor = Annotated[
    str | None, argument("End at this cursor, as if there was nothing behind it: to read a part of the feed again.")
]
First = Annotated[int | None, argument("How many at most: 1 to 200, 50 when not given.")]


@strawberry.type
class ChangeQuery:
    """The feed as a part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def changes(
        self,
        info: Info,
        filter: FilterArgument = UNSET,
        after: After = UNSET,
        until: ToCursor = UNSET,
        first: First = UNSET,
    ) -> ChangeConnection | None:
        """Calls, corrections and completions in the order of commits, from the oldest on: nothing is left out, nothing
        comes twice. Ask again with `endCursor` for what is new.
        """
        return await resolve_changes(info, given(filter), (given(after), given(until)), given(first))

    @strawberry.field(directives=[Cost(weight=200)])
    async def change_sums(self, info: Info, since: Since, until: Until) -> ChangeSums | None:
        """What a consumer of `changes` compares with what it has received, by hour and account of recordedAt."""
        context = info.context
        sums, settled = await context.reader.change_sums(context.scope, since, until)
        names = context.reader.accounts.names()
        return ChangeSums(
            settled=settled,
            sums=[
                ChangeSum(
                    hour=one.hour,
                    account=names.get(one.account_id, str(one.account_id)),
                    changes=BigInt(one.changes),
                    checksum=f"{one.checksum:016x}",
                )
                for one in sums
            ],
        )


async def resolve_changes(
    info: Info,
    filter_: Any,  # noqa: ANN401
    between: tuple[str | None, str | None],
    first: int | None,
) -> ChangeConnection:
    """A part of the feed inside the caller's scope, behind one cursor and up to another.

    Raises BadInputError and CursorExpiredError.
    """
    tree, context = tree_of(info), info.context
    request = ChangesRequest(to_predicate(filter_), Slicing(first=first).size, between[0], until=between[1])
    selection = row_selection(tree).get("call", {})
    page = await context.reader.changes(context.scope, request, selection)
    info.context.sizes[tuple(info.path.as_list())] = len(page.changes)
    changes = await changes_of(context, page.changes, selection)
    return ChangeConnection(
        nodes=changes,
        edges=_edges(tree, page, changes),
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=False,
            start_cursor=page.cursor(page.changes[0].entry.position) if page.changes else None,
            end_cursor=page.cursor(page.end),
        ),
        unreadable=page.unreadable,
    )


async def changes_of(context: Context, read: Sequence[RecordedChange], selection: Tree) -> list[Change]:
    """The changes with their calls, as the schema has them."""
    rows = [change.row for change in read]
    calls = await objects_of(CALLS, rows, selection, context.reader, context.scope)
    return [
        Change(kind=ChangeKind[change.entry.kind.name], recorded_at=change.entry.recorded_at, call=call)
        for change, call in zip(read, calls, strict=True)
    ]


def _edges(tree: Tree, page: ChangesPage, changes: Sequence[Change]) -> list[Edge[Change]]:
    if "edges" not in tree:
        return []
    if "cursor" not in tree["edges"]:
        return [Edge(node=change) for change in changes]
    return [
        Edge(cursor=page.cursor(read.entry.position), node=change)
        for read, change in zip(page.changes, changes, strict=True)
    ]
