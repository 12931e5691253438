"""Costs as the schema shows them: types, figures worked out from sums, and the resolver."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import strawberry

from policies.policy import views
from policies.policy.model import View
from service.api.calls.filters import to_predicate
from service.api.calls.resolvers import tree_of
from service.api.execution.context import Context as RequestContext
from service.api.types.calls import Tag
from service.api.types.enums import CallStatus
from service.api.types.filter_inputs import CallFilter
from service.api.types.scalars import BigInt
from service.api.usage.inputs import CorrectionTime, CostDimension, CostOrder, CostSource, TimeBucket
from service.query.authorization.selection_set import Tree
from service.query.model.scope import Scope
from service.query.usage import report as query
from service.query.usage.derived_figures import WORKED_OUT, exact
from service.query.usage.percentiles import percentile_ms
from service.query.usage.source import UsageReader
from service.query.usage.time_buckets import TimeBucket as Bucket
from service.turn import TURN_S, clock, next_turn

Info = strawberry.Info[RequestContext, Any]
_PYTHON_NAMES: Final = {
    "tokenEfficiency": "token_efficiency",
    "averageCost": "average_cost",
    "costPerThousandOutputTokens": "cost_per_thousand_output_tokens",
    "wastedOnFailures": "wasted_on_failures",
    "estimatedShare": "estimated_share",
    "callsWithoutAmount": "calls_without_amount",
}


def _field(description: str, name: str | None = None) -> Any:  # noqa: ANN401 - a dataclass field, whatever its type
    return strawberry.field(description=description, name=name, default=None)


@strawberry.type
class Money:
    """An amount in one currency."""

    amount: Decimal = _field("How much.")
    currency: str = _field("ISO 4217, or a code that the source names.")


@strawberry.type
class Percentiles:
    """Latency that so many percent of the calls did not exceed; within 5 %, from 1 ms to 1 h."""

    p50: float | None = _field("Half of the calls took no longer, in milliseconds.")
    p95: float | None = _field("95 % of the calls took no longer, in milliseconds.")
    p99: float | None = _field("99 % of the calls took no longer, in milliseconds.")


@strawberry.interface
class CostFigure:
    """What a row and a total have in common, so that a frontend writes one fragment."""

    calls: BigInt = _field("How many calls.")
    errors: BigInt = _field("How many of them failed.")
    input_tokens: BigInt = _field("Input tokens, cache reads and writes included.")
    output_tokens: BigInt = _field("Output tokens, reasoning included.")
    cache_read_tokens: BigInt = _field("Input tokens that were read from the provider's cache.")
    cache_write_tokens: BigInt = _field("Input tokens that were written to the provider's cache.")
    reasoning_tokens: BigInt = _field("Output tokens that were spent on reasoning.")
    amount: Money | None = _field("The amounts of the calls, added up; null when none of them has one.")
    token_efficiency: float | None = _field("Output tokens divided by input tokens; null without input.")
    average_cost: Decimal | None = _field("Amount divided by the calls that have one, to twelve places.")
    cost_per_thousand_output_tokens: Decimal | None = _field("Null without output; to twelve places.")
    latency_ms: Percentiles | None = _field("How long calls took; null when none of them says.")
    wasted_on_failures: Decimal | None = _field("What failed calls cost; null when no call has an amount.")
    estimated_share: float | None = _field("Share of the amount that was estimated, 0 to 1.")
    calls_without_amount: BigInt | None = _field("How many calls have no amount: see Call.amountUnknown.")


@strawberry.type
class CostKey:
    """What the row is grouped by; a field that was not asked for in groupBy is null."""

    model: str | None = _field("The model that was asked for.")
    provider: str | None = _field("Who runs the model; null: not reported.")
    account: str | None = _field("The account.")
    api_key: str | None = _field("The gateway's name of the key; null: not reported.")
    status: CallStatus | None = _field("How the calls ended.")
    operation: str | None = _field("What was asked of the model; null: not reported.")
    served_model: str | None = _field("The model that answered; null: not reported.")
    currency: str | None = _field("Rows are always one a currency; null: calls that name none.")
    tags: list[Tag] | None = _field("The tags of groupByTags, in that order; value null: the calls do not carry it.")
    bucket_start: datetime | None = _field("Where the bucket begins, included; it may lie before the range asked for.")
    bucket_end: datetime | None = _field("Where the bucket ends, not included.")


@strawberry.type
class CostRow(CostFigure):
    """The calls of one group, in one currency."""

    key: CostKey = _field("What the row is grouped by.")


@strawberry.type
class CostFigures(CostFigure):
    """A total of one currency, over all rows, those that `first` cut off included."""


@strawberry.type
class CostCoverage:
    """What the figures rest on."""

    from_: datetime | None = _field("No call that started from here on is missing.", "from")
    to: datetime = _field("End of the range, or the moment of the answer when that is earlier.")
    source: CostSource = _field("Where they were read. Rollups outlive calls.")


@strawberry.type
class CostReport:
    """Costs, grouped as asked for."""

    rows: list[CostRow] = _field("One a group and currency, as far as there are calls: empty buckets are left out.")
    totals: list[CostFigures] = _field("One entry a currency; an amount of null: calls that name none.")
    coverage: CostCoverage = _field("What the figures rest on.")
    truncated: bool = _field("True when `first` cut rows off.")


GroupBy = Annotated[list[CostDimension] | None, strawberry.argument(description="What makes a row of its own.")]
GroupByTags = Annotated[
    list[str] | None, strawberry.argument(description="Tag keys that the policy allows as dimensions; at most five.")
]
BucketArgument = Annotated[
    TimeBucket | None, strawberry.argument(description="One row a bucket of local time; at most 10,000 buckets.")
]
CostOrders = Annotated[
    list[CostOrder] | None,
    strawberry.argument(description="Order; by bucket, then the most calls first, when not given."),
]
Corrections = Annotated[
    CorrectionTime | None,
    strawberry.argument(
        description="In which period corrections count; BY_CALL_TIME when not given. BY_OWN_TIME is answered by sums "
        "alone: from quarter hour to quarter hour, without filters or groups that need single calls."
    ),
]
FirstRows = Annotated[
    int | None, strawberry.argument(description="How many rows: 1 to 10,000, 1,000 when not given; see truncated.")
]


async def resolve_costs(
    info: Info,
    filter_: CallFilter | None,
    *,
    group_by: Sequence[CostDimension] | None = None,
    group_by_tags: Sequence[str] | None = None,
    bucket: TimeBucket | None = None,
    time_zone: str | None = None,
    order_by: Sequence[CostOrder] | None = None,
    first: int | None = None,
    corrections: CorrectionTime | None = None,
) -> CostReport:
    """The report for the one who asks; what is not selected is not worked out."""
    tree, context = tree_of(info), info.context
    request = to_request(
        tree,
        filter_,
        group_by=group_by,
        group_by_tags=group_by_tags,
        bucket=bucket,
        time_zone=time_zone,
        order_by=order_by,
        first=first,
        corrections=corrections,
    )
    return report(await query.read_costs(await usage_reader(context), request), request, context.scope)


async def usage_reader(context: RequestContext) -> UsageReader:
    """What reads usage for the one who asks, as of now."""
    return UsageReader(
        context.reader.database,
        context.reader.accounts,
        context.scope,
        await context.reader.clock.now(),
        context.reader.keyring,
    )


def to_request(
    tree: Tree,
    filter_: CallFilter | None,
    *,
    group_by: Sequence[CostDimension] | None = None,
    group_by_tags: Sequence[str] | None = None,
    bucket: TimeBucket | None = None,
    time_zone: str | None = None,
    order_by: Sequence[CostOrder] | None = None,
    first: int | None = None,
    corrections: CorrectionTime | None = None,
) -> query.CostRequest:
    """What the arguments ask for, of the figures that are selected. Raises BadInputError."""
    return query.CostRequest(
        predicate=to_predicate(filter_),
        dimensions=[dimension.name for dimension in group_by or ()],
        tags=list(group_by_tags or ()),
        bucket=Bucket(bucket.name) if bucket else None,
        zone=time_zone or "UTC",
        order=[(order.field.name, order.direction.name == "DESC") for order in order_by or ()],
        first=query.FIRST_DEFAULT if first is None else first,
        row_figures=_figures(tree["rows"]) if "rows" in tree else _figures({}) if "truncated" in tree else None,
        total_figures=_figures(tree["totals"]) if "totals" in tree else None,
        corrections_moved=corrections is CorrectionTime.BY_OWN_TIME,
    )


def _figures(selected: Mapping[str, object]) -> frozenset[str]:
    return frozenset(name for name in selected if name in query.NEEDS)


def report(found: query.Costs, request: query.CostRequest, scope: Scope) -> CostReport:
    """What was read, as the role may see it."""
    totals = _FigureView(scope, "CostFigures")
    return CostReport(
        rows=_Rows(found.rows, request, scope),  # pyright: ignore[reportArgumentType] - an iterable is a list to GraphQL
        totals=[CostFigures(**totals.values(total, request.total_figures)) for total in found.totals],
        coverage=CostCoverage(
            from_=found.coverage.start, to=found.coverage.end, source=CostSource[found.coverage.source.name]
        ),
        truncated=found.truncated,
    )


class _Rows:
    """The rows, one after the other, with turns for other requests between them: there may be ten thousand, and
    graphql-core completes each before it asks for the next one.
    """

    def __init__(self, rows: Sequence[query.CostRow], request: query.CostRequest, scope: Scope) -> None:
        self._rows = rows
        self._request = request
        self._scope = scope

    async def __aiter__(self) -> AsyncIterator[CostRow]:
        request, view, until = self._request, _FigureView(self._scope, "CostRow"), clock() + TURN_S
        for row in self._rows:
            values = view.values(row.figures, request.row_figures)
            yield CostRow(key=_key(row.key, request, self._scope), **values)
            if clock() > until:
                until = await next_turn()


def _key(key: query.GroupKey, request: query.CostRequest, scope: Scope) -> CostKey:
    values: dict[str, Any] = {name.lower(): value for name, value in key.values.items()}
    if "status" in values:
        values["status"] = CallStatus[values["status"]]
    tag: Any = Tag  # what it takes is in the table of fields
    tags = None if key.tags is None else [tag(key=name, value=key.tags[name]) for name in request.tags]
    currency = _currency(key.currency, scope, "CostKey.currency")
    return CostKey(currency=currency, tags=tags, bucket_start=key.bucket_start, bucket_end=key.bucket_end, **values)


def _currency(currency: str | None, scope: Scope, field: str) -> str | None:
    """A role that may not see it gets what stands for it; what may be grouped by is seen, so nothing else is masked."""
    seen = scope.views.get(field, View.DENIED)
    if currency is None or seen is View.SEE:
        return currency
    return views.masked_text(scope.policy, field) if seen is View.MASKED else None


class _FigureView:
    """Works figures out for one role and type; what is masked or denied is null."""

    def __init__(self, scope: Scope, type_: str) -> None:
        self._scope = scope
        self._shown = {name for name in query.NEEDS if scope.views.get(f"{type_}.{name}") is View.SEE}

    def values(self, figures: query.Figures, selected: frozenset[str] | None) -> dict[str, Any]:
        """The fields of `CostFigures` that are asked for and may be shown, by their Python names."""
        names = (selected or frozenset()) & self._shown
        sums = figures.sums
        values: dict[str, Any] = {}
        for name in names:
            if name == "amount":
                values["amount"] = self._money(figures)
            elif name == "latencyMs":
                values["latency_ms"] = _percentiles(figures)
            elif name in WORKED_OUT:
                values[_PYTHON_NAMES[name]] = WORKED_OUT[name](sums)
            else:
                (alias,) = query.NEEDS[name]
                values[alias] = int(sums[alias])
        return values

    def _money(self, figures: query.Figures) -> Money | None:
        shown = self._scope.views.get("Money.amount") is View.SEE
        some = figures.sums["priced"] or figures.sums["amount"]
        if not some or figures.currency is None or not shown:
            return None
        currency = _currency(figures.currency, self._scope, "Money.currency")
        return None if currency is None else Money(amount=exact(figures.sums["amount"]), currency=currency)


def _percentiles(figures: query.Figures) -> Percentiles | None:
    if not figures.entries:
        return None
    p50, p95, p99 = (percentile_ms(figures.bins, figures.entries, percent) for percent in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99)
