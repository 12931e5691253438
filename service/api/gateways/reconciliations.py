"""`reconciliations`: what comparisons with other gateways and with bills found. `calledger reconcile` and the nightly
run of `serve` make them.

Both sides were compared as an administrator sees them. So they are for roles that see models, amounts and counts of
calls in clear, and ids of calls for those that may ask for calls.
"""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Final

import strawberry

from policies.policy import views
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import RecordOrder, newest_first, read_scoped_page
from service.api.types.calls import Node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument, described, given, value
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_id, encode_id
from service.api.types.scalars import Count, TimeZone
from service.query.model.errors import ForbiddenError
from service.query.records.ordering import CursorError, Position
from service.storage.gateways.reconciliations import (
    DifferenceRecord,
    ReconciliationRecord,
    count_differences,
    count_reconciliations,
    get_reconciliation,
    page_differences,
    page_reconciliations,
)

PREFIX: Final = "recon"


@strawberry.enum
class DifferenceKind(Enum):
    """How the two sides differ."""

    MISSING_HERE = value("MISSING_HERE", "They bill it, and it is not recorded here.")
    MISSING_THERE = value("MISSING_THERE", "It is recorded here with an amount, and they do not bill it.")
    DOUBLED_HERE = value("DOUBLED_HERE", "They bill it once, and it is recorded twice.")
    DOUBLED_THERE = value("DOUBLED_THERE", "It is recorded once, and they bill it twice.")
    PRICED_DIFFERENTLY = value("PRICED_DIFFERENTLY", "Both have it, with other amounts or currencies.")
    UNPRICED = value("UNPRICED", "It is recorded here without an amount.")
    REFUSED = value("REFUSED", "They bill it, and on that day reports were refused here.")


Kinds = Annotated[list[DifferenceKind] | None, argument("Only of these kinds; of all when not given.")]


@strawberry.type
class ReconciliationTotal:
    """What the compared days come to, in one currency."""

    currency: str = described("ISO 4217, or a code that the source names.")
    theirs: Decimal = described("What they say.")
    ours: Decimal = described("What is recorded here.")


@strawberry.type
class ReconciliationKind:
    """How many calls differ in one way."""

    kind: DifferenceKind = described("How they differ.")
    calls: Count = described("How many; rows, where there are no ids.")


@strawberry.type
class ReconciliationUnread:
    """Rows that could not be read."""

    reason: str = described("What is wrong with them.")
    rows: Count = described("How many.")


def _number(position: Position | None) -> int:
    match position:
        case None:
            return -1
        case (int(number),):
            return number
    raise CursorError


_IN_ORDER: Final = RecordOrder(lambda difference: (difference.number,), _number)


@strawberry.type
class ReconciliationDifference:
    """What differs in one way, of one day, model and currency."""

    kind: DifferenceKind = described("How the two sides differ.")
    day: str = described("The day in the comparison's time zone, such as `2026-11-01`.")
    model: str = described("Under its shortest name, in lower case.")
    currency: str = described("ISO 4217, or a code that the source names; empty where there is no amount.")
    calls: Count = described("How many calls; rows, where there are no ids.")
    theirs: Decimal = described("What they say these come to.")
    ours: Decimal = described("What is recorded for them here.")
    difference: Decimal = described("Theirs less ours.")
    call_ids: list[strawberry.ID] | None = described(
        "Some of the calls here, at most five; null for who may not ask for calls."
    )


@strawberry.type
class Reconciliation(Node):
    """One comparison of what others bill with what is recorded here. It ends with the window of its oldest calls."""

    id: strawberry.ID = described("Opaque id, `recon_...`.")
    name: str = described("What it was compared with: the name of a file, or of a source.")
    requested_by: str = described("`cli`, or `nightly`.")
    accounts: list[str] | None = described("Whose calls were compared; null: everybody's.")
    layout: str | None = described("What their rows are, as `calledger reconcile --from` names it; null: it failed.")
    first_day: str = described("The first day that was compared, such as `2026-11-01`.")
    last_day: str = described("The last day, included.")
    time_zone: TimeZone = described("Whose days these are.")
    tolerance: Decimal = described("Share of an amount by which the two sides may differ.")
    made_at: datetime = described("When.")
    by_ids: bool = described("Whether single calls were compared, by their ids, or sums by day, model and currency.")
    rows: Count = described("Rows of theirs.")
    calls: Count = described("Calls of ours.")
    unread: list[ReconciliationUnread] = described("Rows of theirs that could not be read, by reason.")
    totals: list[ReconciliationTotal] = described("What both sides come to, by currency.")
    kinds: list[ReconciliationKind] = described("How many calls differ, by kind; kinds without any are left out.")
    differing: Count = described("How many calls differ in all, those that are not listed included.")
    failure: str | None = described("Why nothing could be compared; null: it could.")

    @strawberry.field(directives=[*paged(), Cost(weight=5)])
    async def differences(
        self, info: Info, kinds: Kinds = UNSET, first: First = UNSET, after: After = UNSET
    ) -> Connection[ReconciliationDifference]:
        """What differs, by day, kind, model and currency; at most 10,000 entries are kept."""
        context, id_ = info.context, decode_id(PREFIX, self.id)
        assert id_ is not None, "it was made of one"
        wanted = None if given(kinds) is None else sorted({kind.name for kind in given(kinds)})

        page = await read_scoped_page(
            info,
            ("differences", id_, wanted),
            Slicing.of(first, after),
            _IN_ORDER,
            lambda connection, size, after: page_differences(connection, id_, size, after=after, kinds=wanted),
            lambda connection: count_differences(connection, id_, wanted),
        )
        seen = views.may_ask(context.scope.policy, context.scope.role, "calls")
        return page.connection([_difference_node(one, examples=seen) for one in page.rows])


@strawberry.type
class ReconciliationQuery:
    """Root field of comparisons; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def reconciliations(
        self, info: Info, first: First = UNSET, after: After = UNSET
    ) -> Connection[Reconciliation] | None:
        """Comparisons with bills and other gateways, newest first; for roles that see models, amounts and counts of
        calls. A key that is bound to accounts is shown those that are of no others.
        """
        context = info.context
        hidden = views.hidden_behind(context.scope.policy, context.scope.role, "reconciliations")
        if hidden is not None:
            raise ForbiddenError(
                f"the role `{context.scope.role}` may not see `{hidden}`, which `reconciliations` shows"
            )

        page = await read_scoped_page(
            info,
            ("reconciliations", context.scope.accounts),
            Slicing.of(first, after),
            newest_first("made_at"),
            page_reconciliations,
            count_reconciliations,
        )
        return page.connection([await _node(context, one) for one in page.rows])


async def resolve_reconciliation(context: Context, id_: str) -> Reconciliation | None:
    """A comparison by its id; None when there is none that the one who asks may see."""
    number, scope = decode_id(PREFIX, id_), context.scope
    if number is None or not views.may_ask(scope.policy, scope.role, "reconciliations"):
        return None
    if views.hidden_behind(scope.policy, scope.role, "reconciliations") is not None:
        return None
    async with reading(context) as connection:
        found = await get_reconciliation(connection, number)
    return None if found is None else await _node(context, found)


async def _node(context: Context, record: ReconciliationRecord) -> Reconciliation:
    names = context.reader.accounts
    return Reconciliation(
        id=encode_id(PREFIX, record.id),
        name=record.name,
        requested_by=record.requested_by,
        accounts=None if record.accounts is None else [await names.name(one) for one in record.accounts],
        layout=record.layout,
        first_day=record.first_day.isoformat(),
        last_day=record.last_day.isoformat(),
        time_zone=TimeZone(record.time_zone),
        tolerance=record.tolerance,
        made_at=record.made_at,
        by_ids=record.by_ids,
        rows=Count(record.rows),
        calls=Count(record.calls),
        unread=[ReconciliationUnread(reason=why, rows=Count(rows)) for why, rows in sorted(record.unread.items())],
        totals=[
            ReconciliationTotal(currency=currency, theirs=Decimal(theirs), ours=Decimal(ours))
            for currency, (theirs, ours) in sorted(record.totals.items())
        ],
        kinds=[
            ReconciliationKind(kind=kind, calls=Count(record.kinds[kind.name]))
            for kind in DifferenceKind
            if kind.name in record.kinds
        ],
        differing=Count(record.differing),
        failure=record.failure,
    )


def _difference_node(record: DifferenceRecord, *, examples: bool) -> ReconciliationDifference:
    return ReconciliationDifference(
        kind=DifferenceKind[record.kind],
        day=record.day.isoformat(),
        model=record.model,
        currency=record.currency,
        calls=Count(record.calls),
        theirs=record.theirs,
        ours=record.ours,
        difference=record.theirs - record.ours,
        call_ids=[strawberry.ID(one) for one in record.examples] if examples else None,
    )
