"""The ledger as it is asked for: entries, checkpoints and proofs.

It is about every account, and an entry's hash tells who can guess the entry what it says: a key that is bound to
accounts gets neither entries nor proofs. Checkpoints are for everybody who may ask.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import strawberry
from strawberry import Some

from policies.policy.roots import CEILINGS
from service.api.execution.context import Context, Info
from service.api.execution.record_pages import read_record_page
from service.api.execution.selection import page_selection, tree_of
from service.api.ledger.types import (
    Checkpoint,
    LedgerEntry,
    LedgerFilter,
    LedgerKindFilter,
    Proof,
    checkpoint_node,
    entry_node,
    proof_node,
)
from service.api.retention.queries import refuse_bound
from service.api.types.connections import After, CountedConnection, First, Slicing
from service.api.types.declarations import UNSET, argument
from service.api.types.directives import Cost, paged
from service.api.types.filter_inputs import BigIntFilter, DateTimeFilter
from service.api.types.scalars import BigInt
from service.ledger import Checkpoints, Entry, Ledger, LedgerKind, LedgerRangeError, Selection
from service.ledger.store import INDEX_MAX
from service.query.records.ordering import CursorError, Position

_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


Filter = Annotated[LedgerFilter | None, argument("Which entries.")]
IssuedSize = Annotated[BigInt | None, argument("How many entries it covers; the newest when not given.")]
Index = Annotated[BigInt, argument("The entry's place.")]
Size = Annotated[BigInt, argument("How many entries the tree has.")]
From = Annotated[BigInt, argument("Size of the older tree.", "from")]
To = Annotated[BigInt, argument("Size of the newer tree.", "to")]


@strawberry.type
class LedgerQuery:
    """Root fields of the ledger; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def ledger(
        self, info: Info, filter: Filter = UNSET, first: First = UNSET, after: After = UNSET
    ) -> CountedConnection[LedgerEntry] | None:
        """Ledger entries in ledger order."""
        refuse_bound(info.context, "ledger")
        return await _entries(info, selection_of(filter or None), first, after)

    @strawberry.field(directives=[Cost(weight=5)])
    async def checkpoint(self, info: Info, size: IssuedSize = UNSET) -> Checkpoint | None:
        """The newest signed checkpoint, or the one of a given size. None is signed for the asking: those that were
        issued can be had.
        """
        checkpoints = Checkpoints(ledger_of(info.context))
        if size is UNSET or size is None:
            issued = await checkpoints.latest()
            if issued is None:
                raise LedgerRangeError("no checkpoint was signed yet: ask again in some minutes")
        else:
            issued = await checkpoints.at(size)
            if issued is None:
                raise LedgerRangeError(await _not_issued(checkpoints, size))
        return checkpoint_node(issued)

    @strawberry.field(directives=[Cost(weight=10)])
    async def inclusion_proof(self, info: Info, index: Index, size: Size) -> Proof | None:
        """Proof that entry `index` is in the tree of `size` entries."""
        refuse_bound(info.context, "inclusionProof")
        return proof_node(await ledger_of(info.context).inclusion_proof(index, size))

    @strawberry.field(directives=[Cost(weight=10)])
    async def consistency_proof(self, info: Info, from_: From, to: To) -> Proof | None:
        """Proof that the tree of `to` entries extends the tree of `from` entries."""
        refuse_bound(info.context, "consistencyProof")
        return proof_node(await ledger_of(info.context).consistency_proof(from_, to))


def ledger_of(context: Context) -> Ledger:
    """The ledger of what serves the request."""
    assert context.ledger is not None, "what serves requests has a ledger"
    return context.ledger


def selection_of(filter_: LedgerFilter | None) -> Selection:
    """The entries that a filter names: each of its fields narrows one half-open range or the kinds."""
    if filter_ is None:
        return Selection()
    start, end = _indexes(filter_.index) if filter_.index else (0, INDEX_MAX)
    earliest, latest = _moments(filter_.recorded_at) if filter_.recorded_at else (None, None)
    return Selection(start, end, _kinds(filter_.kind) if filter_.kind else None, earliest, latest)


def _indexes(filter_: BigIntFilter) -> tuple[int, int]:
    starts, ends = [0], [INDEX_MAX]
    for given, bounds, offset in (
        (filter_.eq, starts, 0),
        (filter_.eq, ends, 1),
        (filter_.lt, ends, 0),
        (filter_.lte, ends, 1),
        (filter_.gt, starts, 1),
        (filter_.gte, starts, 0),
    ):
        value = _value(given)
        if value is not None:
            bounds.append(value + offset)
    return min(max(starts), INDEX_MAX), max(min(ends), 0)


def _moments(filter_: DateTimeFilter) -> tuple[datetime | None, datetime | None]:
    """Entries are shown to the millisecond and stored to the microsecond; what is shown is what is compared."""
    starts, ends = list[datetime](), list[datetime]()
    for given, bounds, bound in (
        (filter_.eq, starts, _not_before),
        (filter_.eq, ends, _past),
        (filter_.lt, ends, _not_before),
        (filter_.lte, ends, _past),
        (filter_.gt, starts, _past),
        (filter_.gte, starts, _not_before),
    ):
        value = _value(given)
        if value is not None:
            bounds.append(bound(value))
    return max(starts, default=None), min(ends, default=None)


def _value(given: Any) -> Any:  # noqa: ANN401 - what an operator compares with
    """None for what is not given."""
    return None if given is UNSET else given.value if isinstance(given, Some) else given


def _past(moment: datetime) -> datetime:
    """The first moment that is shown as later than `moment`."""
    floor = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return _LAST if floor > _LAST - _MILLISECOND else floor + _MILLISECOND


def _not_before(moment: datetime) -> datetime:
    """The first moment that is shown as `moment` or later."""
    return _past(moment) if moment.microsecond % 1000 else moment


def _kinds(filter_: LedgerKindFilter) -> tuple[LedgerKind, ...] | None:
    found = list(LedgerKind)
    if filter_.eq is not None:
        found = [kind for kind in found if kind.name == filter_.eq.value.name]
    if filter_.in_ is not None and filter_.in_ is not UNSET:
        names = {kind.name for kind in filter_.in_}
        found = [kind for kind in found if kind.name in names]
    return None if len(found) == len(LedgerKind) else tuple(found)


async def _entries(info: Info, selection: Selection, first: Any, after: Any) -> CountedConnection[LedgerEntry]:  # noqa: ANN401
    context, asked = info.context, page_selection(tree_of(info))
    ledger = ledger_of(context)

    async def fetch(size: int, position: Position | None) -> list[Entry]:
        """At most `size` entries after `position`, in ledger order."""
        following = selection if position is None else _following(selection, position)
        return await ledger.page(following, first=size) if asked.rows or asked.has_next else []

    page = await read_record_page(
        info, ("ledger", selection.parameters()), Slicing.of(first, after), fetch, lambda entry: (entry.index,)
    )
    nodes = [entry_node(entry, note=_may_read_notes(context)) for entry in page.rows]
    return page.counted_connection(nodes, await _count(ledger, selection) if asked.total else 0)


def _following(selection: Selection, position: tuple[Any, ...]) -> Selection:
    match position:
        case (int(index),):
            start = max(selection.start, index + 1)
            return Selection(start, selection.end, selection.kinds, selection.recorded_from, selection.recorded_to)
    raise CursorError


async def _count(ledger: Ledger, selection: Selection) -> int:
    """How many match. No index is ever missing: a range of indexes needs no counting."""
    if (selection.kinds, selection.recorded_from, selection.recorded_to) == (None, None, None):
        return max(0, min(selection.end, await ledger.size()) - selection.start)
    return await ledger.count(selection)


def _may_read_notes(context: Context) -> bool:
    """Only roles that can ever be granted the ledger, whatever a policy says: a note is people's words."""
    return "ledger" in CEILINGS[context.scope.role]


async def _not_issued(checkpoints: Checkpoints, size: int) -> str:
    near = [str(one) for one in await checkpoints.near(size) if one is not None]
    nearest = f"the nearest are of {' and '.join(near)}" if near else "none was signed yet"
    return f"there is no checkpoint of {size} entries: {nearest}"
