"""Costs as the schema shows them: types, figures worked out from sums, and the resolver."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

import strawberry

from policies.policy import views
from policies.policy.model import View
from service.api.calls.filters import to_predicate
from service.api.calls.resolvers import tree_of
from service.api.execution.context import Info
from service.api.types.calls import Tag
from service.api.types.declarations import argument, selected
from service.api.types.enums import CallStatus
from service.api.types.filter_inputs import CallFilter
from service.api.types.scalars import BigInt
from service.api.usage.inputs import CorrectionTime, CostDimension, CostOrder, CostSource, TimeBucket
from service.query.authorization.selection_set import Tree
from service.query.model.scope import Scope
from service.query.usage import report as query
from service.query.usage.derived_figures import WORKED_OUT, exact
from service.query.usage.percentiles import percentile_ms
from service.query.usage.time_buckets import TimeBucket as Bucket

_PYTHON_NAMES: Final = {
    "tokenEfficiency": "token_efficiency",
    "averageCost": "average_cost",
    "costPerThousandOutputTokens": "cost_per_thousand_output_tokens",
    "wastedOnFailures": "wasted_on_failures",
    "estimatedShare": "estimated_share",
    "callsWithoutAmount": "calls_without_amount",
}


@strawberry.type
class Money:
    """An amount in one currency."""

    amount: Decimal = selected("How much.")
    currency: str = selected("ISO 4217, or a code that the source names.")


@strawberry.type
class Percentiles:
    """Latency that so many percent of the calls did not exceed; within 5 %, from 1 ms to 1 h."""

    p50: float | None = selected("Half of the calls took no longer, in milliseconds.")
    p95: float | None = selected("95 % of the calls took no longer, in milliseconds.")
    p99: float | None = selected("99 % of the calls took no longer, in milliseconds.")


@strawberry.interface
class CostFigure:
    """What a row and a total have in common, so that a frontend writes one fragment."""

    calls: BigInt = selected("How many calls.")
    errors: BigInt = selected("How many of them failed.")
    input_tokens: BigInt = selected("Input tokens, cache reads and writes included.")
    output_tokens: BigInt = selected("Output tokens, reasoning included.")
    cache_read_tokens: BigInt = selected("Input tokens that were read from the provider's cache.")
    cache_write_tokens: BigInt = selected("Input tokens that were written to the provider's cache.")
    reasoning_tokens: BigInt = selected("Output tokens that were spent on reasoning.")
    amount: Money | None = selected("The amounts of the calls, added up; null when none of them has one.")
    token_efficiency: float | None = selected("Output tokens divided by input tokens; null without input.")
    average_cost: Decimal | None = selected("Amount divided by the calls that have one, to twelve places.")
    cost_per_thousand_output_tokens: Decimal | None = selected("Null without output; to twelve places.")
    latency_ms: Percentiles | None = selected("How long calls took; null when none of them says.")
    wasted_on_failures: Decimal | None = selected("What failed calls cost; null when no call has an amount.")
    estimated_share: float | None = selected("Share of the amount that was estimated, 0 to 1.")
    calls_without_amount: BigInt | None = selected("How many calls have no amount: see Call.amountUnknown.")


@strawberry.type
class CostKey:
    """What the row is grouped by; a field that was not asked for in groupBy is null."""

    model: str | None = selected("The model that was asked for.")
    provider: str | None = selected("Who runs the model; null: not reported.")
    account: str | None = selected("The account.")
    api_key: str | None = selected("The gateway's name of the key; null: not reported.")
    status: CallStatus | None = selected("How the calls ended.")
    operation: str | None = selected("What was asked of the model; null: not reported.")
    served_model: str | None = selected("The model that answered; null: not reported.")
    currency: str | None = selected("Rows are always one a currency; null: calls that name none.")
    tags: list[Tag] | None = selected("The tags of groupByTags, in that order; value null: the calls do not carry it.")
    bucket_start: datetime | None = selected(
        "Where the bucket begins, included; it may lie before the range asked for."
    )
    bucket_end: datetime | None = selected("Where the bucket ends, not included.")


@strawberry.type
class CostRow(CostFigure):
    """The calls of one group, in one currency."""

    key: CostKey = selected("What the row is grouped by.")


@strawberry.type
class CostFigures(CostFigure):
    """A total of one currency, over all rows, those that `first` cut off included."""


@strawberry.type
class CostCoverage:
    """What the figures rest on."""

    from_: datetime | None = selected("No call that started from here on is missing.", "from")
    to: datetime = selected("End of the range, or the moment of the answer when that is earlier.")
    source: CostSource = selected("Where they were read. Rollups outlive calls.")


@strawberry.type
class CostReport:
    """Costs, grouped as asked for."""

    rows: list[CostRow] = selected("One a group and currency, as far as there are calls: empty buckets are left out.")
    totals: list[CostFigures] = selected("One entry a currency; an amount of null: calls that name none.")
    coverage: CostCoverage = selected("What the figures rest on.")
    truncated: bool = selected("True when `first` cut rows off.")


GroupBy = Annotated[list[CostDimension] | None, argument("What makes a row of its own.")]
GroupByTags = Annotated[list[str] | None, argument("Tag keys that the policy allows as dimensions; at most five.")]
BucketArgument = Annotated[TimeBucket | None, argument("One row a bucket of local time; at most 10,000 buckets.")]
CostOrders = Annotated[
    list[CostOrder] | None,
    argument("Order; by bucket, then the most calls first, when not given."),
]
Corrections = Annotated[
    CorrectionTime | None,
    argument(
        "In which period corrections count; BY_CALL_TIME when not given. BY_OWN_TIME is answered by sums "
        "alone: from quarter hour to quarter hour, without filters or groups that need single calls."
    ),
]
FirstRows = Annotated[int | None, argument("How many rows: 1 to 10,000, 1,000 when not given; see truncated.")]


class CostArguments(NamedTuple):
    """The arguments of `costs` as converted; None for what was not given."""

    filter: CallFilter | None = None
    group_by: Sequence[CostDimension] | None = None
    group_by_tags: Sequence[str] | None = None
    bucket: TimeBucket | None = None
    time_zone: str | None = None
    order_by: Sequence[CostOrder] | None = None
    first: int | None = None
    corrections: CorrectionTime | None = None


async def resolve_costs(info: Info, arguments: CostArguments) -> CostReport:
    """The report for the one who asks; what is not selected is not worked out."""
    context, request = info.context, to_request(tree_of(info), arguments)
    return report(await query.read_costs(await context.reader.usage(context.scope), request), request, context.scope)


def to_request(tree: Tree, given: CostArguments) -> query.CostRequest:
    """What the arguments ask for, of the figures that are selected. Raises BadInputError."""
    return query.CostRequest(
        predicate=to_predicate(given.filter),
        dimensions=[dimension.name for dimension in given.group_by or ()],
        tags=list(given.group_by_tags or ()),
        bucket=Bucket(given.bucket.name) if given.bucket else None,
        zone=given.time_zone or "UTC",
        order=[(order.field.name, order.direction.name == "DESC") for order in given.order_by or ()],
        first=query.FIRST_DEFAULT if given.first is None else given.first,
        row_figures=_figures(tree["rows"]) if "rows" in tree else _figures({}) if "truncated" in tree else None,
        total_figures=_figures(tree["totals"]) if "totals" in tree else None,
        corrections_moved=given.corrections is CorrectionTime.BY_OWN_TIME,
    )


def _figures(selected: Mapping[str, object]) -> frozenset[str]:
    return frozenset(name for name in selected if name in query.NEEDS)


def report(found: query.Costs, request: query.CostRequest, scope: Scope) -> CostReport:
    """What was read, as the role may see it."""
    rows, totals = _FigureView(scope, "CostRow"), _FigureView(scope, "CostFigures")
    return CostReport(
        rows=[
            CostRow(key=_key(row.key, request, scope), **rows.values(row.figures, request.row_figures))
            for row in found.rows
        ],
        totals=[CostFigures(**totals.values(total, request.total_figures)) for total in found.totals],
        coverage=CostCoverage(
            from_=found.coverage.start, to=found.coverage.end, source=CostSource[found.coverage.source.name]
        ),
        truncated=found.truncated,
    )


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
