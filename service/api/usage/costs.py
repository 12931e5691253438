"""Costs as the schema shows them: figures worked out from sums, and the resolver."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from policies.policy import views
from policies.policy.model import View
from service.api.calls.filters import to_predicate
from service.api.execution.context import Info
from service.api.execution.selection import merged, tree_of
from service.api.types.calls import Tag
from service.api.types.connections import Edge, PageInfo
from service.api.types.enums import CallStatus
from service.api.types.filter_inputs import CallFilter
from service.api.types.scalars import Count
from service.api.usage.cost_types import (
    CostCoverage,
    CostFigures,
    CostKey,
    CostReport,
    CostRow,
    Money,
    Percentiles,
)
from service.api.usage.inputs import CorrectionTime, CostDimension, CostOrder, CostSource, TimeBucket
from service.offload import Paced
from service.query.authorization.selection_set import Tree
from service.query.buckets.time_buckets import TimeBucket as Bucket
from service.query.model.scope import Scope
from service.query.usage import report as query
from service.query.usage.derived_figures import WORKED_OUT, exact
from service.query.usage.percentiles import percentile_ms
from service.query.usage.report_request import FIRST_DEFAULT, NEEDS, CostRequest

_Item = TypeVar("_Item")
_OF_ROWS: Final = frozenset({"rows", "nodes", "edges", "pageInfo", "truncated"})
_PYTHON_NAMES: Final = {
    "tokenEfficiency": "token_efficiency",
    "averageCost": "average_cost",
    "costPerThousandOutputTokens": "cost_per_thousand_output_tokens",
    "wastedOnFailures": "wasted_on_failures",
    "estimatedShare": "estimated_share",
    "callsWithoutAmount": "calls_without_amount",
}
_PERCENTILES: Final = {
    "latencyMs": ("latency_ms", "latency"),
    "timeToFirstTokenMs": ("time_to_first_token_ms", "first_token"),
}


class CostArguments(NamedTuple):
    """The arguments of `costs` as converted; None for what was not given."""

    filter: CallFilter | None = None
    group_by: Sequence[CostDimension] | None = None
    group_by_tags: Sequence[str] | None = None
    bucket: TimeBucket | None = None
    time_zone: str | None = None
    fill_buckets: bool | None = None
    order_by: Sequence[CostOrder] | None = None
    first: int | None = None
    after: str | None = None
    corrections: CorrectionTime | None = None


async def resolve_costs(info: Info, arguments: CostArguments) -> CostReport:
    """The report for the one who asks; what is not selected is not worked out."""
    context, request = info.context, to_request(tree_of(info), arguments)
    found = await query.read_costs(await context.reader.usage(context.scope), request)
    return await report(found, request, context.scope)


def to_request(tree: Tree, given: CostArguments) -> CostRequest:
    """What the arguments ask for, of the figures that are selected. Raises BadInputError."""
    page, edges = tree.get("pageInfo", {}), tree.get("edges", {})
    rows = merged(merged(tree.get("rows", {}), tree.get("nodes", {})), edges.get("node", {}))
    reads = not tree.keys().isdisjoint(_OF_ROWS)
    return CostRequest(
        predicate=to_predicate(given.filter),
        dimensions=[dimension.name for dimension in given.group_by or ()],
        tags=list(given.group_by_tags or ()),
        bucket=Bucket(given.bucket.name) if given.bucket else None,
        zone=given.time_zone or "UTC",
        fill=bool(given.fill_buckets),
        order=[(order.field.name, order.direction.name == "DESC") for order in given.order_by or ()],
        first=FIRST_DEFAULT if given.first is None else given.first,
        after=given.after,
        row_figures=_figures(rows) if reads else None,
        total_figures=_figures(tree["totals"]) if "totals" in tree else None,
        cursors="cursor" in edges or not page.keys().isdisjoint(("startCursor", "endCursor")),
        before="hasPreviousPage" in page,
        counted="totalCount" in tree,
        corrections_moved=given.corrections is CorrectionTime.BY_OWN_TIME,
    )


def _figures(selected: Mapping[str, object]) -> frozenset[str]:
    return frozenset(name for name in selected if name in NEEDS)


async def report(found: query.Costs, request: CostRequest, scope: Scope) -> CostReport:
    """What was read, as the role may see it; of up to ten thousand rows, made and completed in turns."""
    rows, totals = _FigureView(scope, "CostRow"), _FigureView(scope, "CostFigures")
    nodes: list[CostRow] = []
    async for row in Paced(found.rows):
        nodes.append(CostRow(key=_key(row.key, request, scope), **rows.values(row.figures, request.row_figures)))
    cursors = found.cursors or [""] * len(nodes)
    return CostReport(
        edges=_paced([Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)]),
        nodes=_paced(nodes),
        page_info=PageInfo(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=found.cursors[0] if found.cursors else None,
            end_cursor=found.cursors[-1] if found.cursors else None,
        ),
        total_count=Count(found.count),
        rows=_paced(nodes),
        totals=[CostFigures(**totals.values(total, request.total_figures)) for total in found.totals],
        coverage=CostCoverage(
            from_=found.coverage.start, to=found.coverage.end, source=CostSource[found.coverage.source.name]
        ),
        truncated=found.has_next,
    )


def _paced(items: list[_Item]) -> list[_Item]:
    """The list as graphql-core completes it in turns: it takes an async iterable for one."""
    return cast("list[_Item]", Paced(items))


def _key(key: query.GroupKey, request: CostRequest, scope: Scope) -> CostKey:
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
        self._shown = {name for name in NEEDS if scope.views.get(f"{type_}.{name}") is View.SEE}

    def values(self, figures: query.Figures, selected: frozenset[str] | None) -> dict[str, Any]:
        """The fields of `CostFigures` that are asked for and may be shown, by their Python names."""
        names = (selected or frozenset()) & self._shown
        sums = figures.sums
        values: dict[str, Any] = {}
        for name in names:
            if name == "amount":
                values["amount"] = self._money(figures)
            elif name in _PERCENTILES:
                attribute, alias = _PERCENTILES[name]
                values[attribute] = _percentiles(*figures.histograms[alias])
            elif name in WORKED_OUT:
                values[_PYTHON_NAMES[name]] = WORKED_OUT[name](sums)
            else:
                (alias,) = NEEDS[name]
                values[alias] = int(sums[alias])
        return values

    def _money(self, figures: query.Figures) -> Money | None:
        shown = self._scope.views.get("Money.amount") is View.SEE
        some = figures.sums["priced"] or figures.sums["amount"]
        if not some or figures.currency is None or not shown:
            return None
        currency = _currency(figures.currency, self._scope, "Money.currency")
        return None if currency is None else Money(amount=exact(figures.sums["amount"]), currency=currency)


def _percentiles(bins: Sequence[int], entries: Sequence[int]) -> Percentiles | None:
    if not entries:
        return None
    p50, p95, p99 = (percentile_ms(bins, entries, percent) for percent in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99)
