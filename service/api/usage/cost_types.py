"""The types of a cost report, and the arguments that it takes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import strawberry

from service.api.types.calls import Tag
from service.api.types.connections import Edge, PageInfo
from service.api.types.enums import CallStatus
from service.api.types.scalars import BigInt
from service.api.usage.inputs import CorrectionTime, CostDimension, CostOrder, CostSource, TimeBucket

_UNTIL: Final = "Removed at the earliest in the first release after 2027-12-01."


def _field(description: str, name: str | None = None, *, instead: str | None = None) -> Any:  # noqa: ANN401 - a field
    """A field that is given when its object is made. `instead`: what to ask for in its place, from now on."""
    reason = None if instead is None else f"Ask for {instead} instead. {_UNTIL}"
    return strawberry.field(description=description, name=name, default=None, deprecation_reason=reason)


@strawberry.type
class Money:
    """An amount in one currency."""

    amount: Decimal = _field("How much.")
    currency: str = _field("ISO 4217, or a code that the source names.")


@strawberry.type
class Percentiles:
    """A time that so many percent of the calls did not exceed; within 5 %, from 1 ms to 1 h."""

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
    time_to_first_token_ms: Percentiles | None = _field(
        "How long the first token took; null when no call says. Needs single calls."
    )
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
    error_type: str | None = _field("The type of the error; null: none, or not reported.")
    user: strawberry.ID | None = _field("Pseudonym of who called, within its period; null: not reported.")
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
    """A total of one currency, over all rows, those of other pages included."""


@strawberry.type
class CostCoverage:
    """What the figures rest on."""

    from_: datetime | None = _field("No call that started from here on is missing.", "from")
    to: datetime = _field("End of the range, or the moment of the answer when that is earlier.")
    source: CostSource = _field("Where they were read. Rollups outlive calls.")


@strawberry.type
class CostReport:
    """Costs, grouped as asked for: a connection with totals. Pages hold each row once, whatever arrives meanwhile,
    in an order by `KEY` or by `BUCKET_START` and `KEY`; in others a row stands where its figures are now.
    """

    edges: list[Edge[CostRow]] = _field("The rows of the page with their cursors.")
    nodes: list[CostRow] = _field(
        "The rows of the page: one a group and currency, as far as there are calls. Empty buckets are left "
        "out unless `fillBuckets` is given."
    )
    page_info: PageInfo = _field("How to go on.")
    total_count: int = _field("How many rows there are in all; counted only when asked for.")
    totals: list[CostFigures] = _field("One entry a currency; an amount of null: calls that name none.")
    coverage: CostCoverage = _field("What the figures rest on.")
    rows: list[CostRow] = _field("The rows of the page.", instead="`nodes`")
    truncated: bool = _field("Whether there are rows after the page.", instead="`pageInfo.hasNextPage`")


GroupBy = Annotated[list[CostDimension] | None, strawberry.argument(description="What makes a row of its own.")]
GroupByTags = Annotated[
    list[str] | None, strawberry.argument(description="Tag keys that the policy allows as dimensions; at most five.")
]
BucketArgument = Annotated[
    TimeBucket | None, strawberry.argument(description="One row a bucket of local time; at most 10,000 buckets.")
]
FillBuckets = Annotated[
    bool | None,
    strawberry.argument(
        description="Each group has a row for every bucket, of zeros where there are no calls, from the beginning that "
        "the filter must name to its end or now; at most 100,000 rows in all."
    ),
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
FirstRows = Annotated[int | None, strawberry.argument(description="How many rows: 1 to 10,000, 1,000 when not given.")]
AfterRow = Annotated[str | None, strawberry.argument(description="Go on after this cursor.")]
