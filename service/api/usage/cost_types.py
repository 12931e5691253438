"""The types of a cost report, and the arguments that it takes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from service.api.types.calls import Tag
from service.api.types.connections import Edge, PageInfo
from service.api.types.declarations import argument, selected
from service.api.types.enums import CallStatus
from service.api.types.scalars import BigInt, Count
from service.api.usage.inputs import CorrectionTime, CostDimension, CostOrder, CostSource, TimeBucket


def _until(instead: str) -> str:
    return f"Ask for {instead} instead. Removed at the earliest in the first release after 2027-12-01."


@strawberry.type
class Money:
    """An amount in one currency."""

    amount: Decimal = selected("How much.")
    currency: str = selected("ISO 4217, or a code that the source names.")


@strawberry.type
class Percentiles:
    """A time that so many percent of the calls did not exceed; within 5 %, from 1 ms to 1 h."""

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
    time_to_first_token_ms: Percentiles | None = selected(
        "How long the first token took; null when no call says. Needs single calls."
    )
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
    error_type: str | None = selected("The type of the error; null: none, or not reported.")
    user: strawberry.ID | None = selected("Pseudonym of who called, within its period; null: not reported.")
    currency: str | None = selected("There is always one row per currency; null: calls that name none.")
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
    """A total of one currency, over all rows, those of other pages included."""


@strawberry.type
class CostCoverage:
    """What the figures rest on."""

    from_: datetime | None = selected("No call that started from here on is missing.", "from")
    to: datetime = selected("End of the range, or the moment of the answer when that is earlier.")
    source: CostSource = selected("Where they were read. Rollups outlive calls.")


@strawberry.type
class CostReport:
    """Costs, grouped as asked for: a connection with totals. Pages hold each row once, whatever arrives meanwhile,
    in an order by `KEY` or by `BUCKET_START` and `KEY`; in others a row stands where its figures are now.
    """

    edges: list[Edge[CostRow]] = selected("The rows of the page with their cursors.")
    nodes: list[CostRow] = selected(
        "The rows of the page: one per group and currency, as far as there are calls. Empty buckets are left out "
        "unless `fillBuckets` is given."
    )
    page_info: PageInfo = selected("How to go on.")
    total_count: Count = selected("How many rows there are in all; counted only when asked for.")
    totals: list[CostFigures] = selected("One entry per currency; an amount of null: calls that name none.")
    coverage: CostCoverage = selected("What the figures rest on.")
    rows: list[CostRow] = selected("The rows of the page.", deprecation_reason=_until("`nodes`"))
    truncated: bool = selected(
        "Whether there are rows after the page.", deprecation_reason=_until("`pageInfo.hasNextPage`")
    )


GroupBy = Annotated[list[CostDimension] | None, argument("What makes a row of its own.")]
GroupByTags = Annotated[list[str] | None, argument("Tag keys that the policy allows as dimensions; at most five.")]
BucketArgument = Annotated[TimeBucket | None, argument("One row per bucket of local time; at most 10,000 buckets.")]
FillBuckets = Annotated[
    bool | None,
    argument(
        "Each group has a row for every bucket, of zeros where there are no calls, from the beginning that the filter "
        "must name to its end or now; at most 100,000 rows in all."
    ),
]
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
FirstRows = Annotated[int | None, argument("How many rows: 1 to 10,000, 1,000 when not given.")]
AfterRow = Annotated[str | None, argument("Go on after this cursor.")]
