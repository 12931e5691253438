"""The root type `Query`. Each of its fields may be null: one that fails leaves the others their data."""

from typing import Annotated

import strawberry

from service.api.calls import resolvers as lists
from service.api.calls.changes import ChangeQuery
from service.api.calls.ingest_report import RefusalQuery
from service.api.execution.context import Info
from service.api.execution.selection import tree_of
from service.api.exports.attestations import AttestationQuery
from service.api.exports.queries import ExportQuery
from service.api.exports.schedules import ExportScheduleQuery
from service.api.gateways.reconciliations import ReconciliationQuery
from service.api.gateways.sources import SourceQuery
from service.api.keys.queries import KeyQuery
from service.api.ledger.queries import LedgerQuery
from service.api.nodes import call_nodes, nodes_of
from service.api.policy.policy import Policy, resolve_policy
from service.api.policy.viewer import Viewer, resolve_viewer
from service.api.retention.queries import RetentionQuery
from service.api.types.calls import Call, CallError, ErrorGroup, Node
from service.api.types.connections import CountedConnection, Slicing
from service.api.types.declarations import UNSET, argument, given
from service.api.types.directives import Cost, paged
from service.api.types.filter_inputs import (
    CallOrder,
    ErrorFilterArgument,
    ErrorGroupOrder,
    ErrorOrder,
    FilterArgument,
)
from service.api.types.scalars import Digest, TimeZone
from service.api.usage.cost_types import (
    AfterRow,
    BucketArgument,
    Corrections,
    CostOrders,
    CostReport,
    FillBuckets,
    FirstRows,
    GroupBy,
    GroupByTags,
)
from service.api.usage.costs import CostArguments, resolve_costs
from service.api.usage.facets import ExcludeOwnFilter, Facets, FirstValues, resolve_facets
from service.api.usage.inputs import TimeBucket
from service.api.webhooks.budgets import BudgetQuery
from service.api.webhooks.queries import WebhookQuery
from service.query.buckets.time_buckets import TimeBucket as Bucket
from service.query.model.catalog import CALLS, ERRORS

First = Annotated[int | None, argument("How many from the start: 1 to 200, 50 when neither is given.")]
Last = Annotated[int | None, argument("How many from the end: 1 to 200.")]
After = Annotated[str | None, argument("Go on after this cursor.")]
Before = Annotated[str | None, argument("End before this cursor.")]
Id = Annotated[strawberry.ID, argument("An id that this ledger gave out.")]
Ids = Annotated[list[strawberry.ID], argument("Ids that this ledger gave out: at most 100.")]
CallOrders = Annotated[list[CallOrder] | None, argument("Order; newest first when not given.")]
ErrorOrders = Annotated[list[ErrorOrder] | None, argument("Order; newest first when not given.")]
GroupOrder = Annotated[ErrorGroupOrder | None, argument("Order; last seen first when not given.")]
GroupBucket = Annotated[
    TimeBucket | None,
    argument("Count each group by local time too: see ErrorGroup.buckets. Groups times buckets are at most 20,000."),
]
Zone = Annotated[TimeZone | None, argument("Whose days and hours the buckets are; UTC when not given.")]
PolicyDigest = Annotated[Digest | None, argument("An earlier policy by its digest; the one in force when not given.")]


@strawberry.type
class Query(
    RetentionQuery,
    LedgerQuery,
    AttestationQuery,
    ExportQuery,
    ExportScheduleQuery,
    RefusalQuery,
    KeyQuery,
    ChangeQuery,
    WebhookQuery,
    BudgetQuery,
    SourceQuery,
    ReconciliationQuery,
):
    """What can be asked."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def calls(
        self,
        info: Info,
        filter: FilterArgument = UNSET,
        order_by: CallOrders = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> CountedConnection[Call] | None:
        """Calls, newest first unless ordered otherwise."""
        return await lists.resolve_rows(info, CALLS, filter, order_by, Slicing.of(first, after, last, before))

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def errors(
        self,
        info: Info,
        filter: ErrorFilterArgument = UNSET,
        order_by: ErrorOrders = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> CountedConnection[CallError] | None:
        """Error details inside their window. For error types over the calls' whole window, filter calls by
        errorType.
        """
        return await lists.resolve_rows(info, ERRORS, filter, order_by, Slicing.of(first, after, last, before))

    @strawberry.field(directives=[*paged(), Cost(weight=50)])
    async def error_groups(
        self,
        info: Info,
        filter: ErrorFilterArgument = UNSET,
        order_by: GroupOrder = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        bucket: GroupBucket = UNSET,
        time_zone: Zone = UNSET,
    ) -> CountedConnection[ErrorGroup] | None:
        """Errors of one fingerprint as one row."""
        width = given(bucket)
        return await lists.resolve_error_groups(
            info,
            given(filter),
            given(order_by),
            Slicing.of(first, after),
            None if width is None else Bucket(width.name),
            given(time_zone),
        )

    @strawberry.field(directives=[Cost(weight=100)])
    async def costs(
        self,
        info: Info,
        filter: FilterArgument = UNSET,
        group_by: GroupBy = UNSET,
        group_by_tags: GroupByTags = UNSET,
        bucket: BucketArgument = UNSET,
        time_zone: Zone = UNSET,
        fill_buckets: FillBuckets = UNSET,
        order_by: CostOrders = UNSET,
        first: FirstRows = UNSET,
        after: AfterRow = UNSET,
        corrections: Corrections = UNSET,
    ) -> CostReport | None:
        """Counts, tokens, money and latency. Refused with OUT_OF_RETENTION when the filter needs calls that have been
        purged: never a silent undercount.
        """
        arguments = (filter, group_by, group_by_tags, bucket, time_zone, fill_buckets, order_by, first, after)
        return await resolve_costs(info, CostArguments(*map(given, (*arguments, corrections))))

    @strawberry.field(directives=[Cost(weight=100)])
    async def facets(
        self,
        info: Info,
        filter: FilterArgument = UNSET,
        first: FirstValues = UNSET,
        exclude_own_filter: ExcludeOwnFilter = UNSET,
    ) -> Facets | None:
        """Values with counts, for filter menus."""
        return await resolve_facets(
            info, given(filter), first=given(first), exclude_own_filter=given(exclude_own_filter)
        )

    @strawberry.field
    async def call(self, info: Info, id: Id) -> Call | None:
        """One call by our id; null when unknown, out of scope or past its window."""
        return (await call_nodes(info, [id], tree_of(info)))[0]

    @strawberry.field
    async def node(self, info: Info, id: Id) -> Node | None:
        """Any node by id; null when unknown, out of scope or past its window."""
        return (await nodes_of(info, [id]))[0]

    @strawberry.field
    async def nodes(self, info: Info, ids: Ids) -> list[Node | None] | None:
        """Nodes by their ids, in that order, each as `node` has it. May be asked by who may ask `node`."""
        return await nodes_of(info, ids)

    @strawberry.field
    async def viewer(self, info: Info) -> Viewer | None:
        """Who asks, what they may see, how long things are kept for them."""
        return await resolve_viewer(info.context)

    @strawberry.field
    async def policy(self, info: Info, digest: PolicyDigest = UNSET) -> Policy | None:
        """The policy in force, as an auditor or a frontend reads it."""
        return await resolve_policy(info, given(digest))
