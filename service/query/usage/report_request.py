"""What is asked of a cost report, and whether it may be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.query.buckets.time_buckets import TimeBucket
from service.query.filters.to_sql import single_currency
from service.query.model.errors import BadInputError
from service.query.model.predicate import EVERYTHING, Compare, Predicate, conjuncts
from service.query.usage.row_order import KEY, ORDERS
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import FIRST_TOKEN, LATENCY

FIRST_DEFAULT: Final = 1_000
FIRST_MAX: Final = 10_000
TAGS_MAX: Final = 5

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "calls": ("calls",),
    "errors": ("errors",),
    "inputTokens": ("input_tokens",),
    "outputTokens": ("output_tokens",),
    "cacheReadTokens": ("cache_read_tokens",),
    "cacheWriteTokens": ("cache_write_tokens",),
    "reasoningTokens": ("reasoning_tokens",),
    "amount": ("amount", "priced"),
    "tokenEfficiency": ("input_tokens", "output_tokens"),
    "averageCost": ("amount", "priced"),
    "costPerThousandOutputTokens": ("amount", "priced", "output_tokens"),
    "latencyMs": (LATENCY,),
    "timeToFirstTokenMs": (FIRST_TOKEN,),
    "wastedOnFailures": ("wasted", "priced"),
    "estimatedShare": ("estimated", "amount", "priced"),
    "callsWithoutAmount": ("calls", "priced"),
}
"""Figure of the schema -> the sums that it is worked out from."""

GROUPED_BY: Final = {
    "MODEL": "Call.model",
    "PROVIDER": "Call.provider",
    "ACCOUNT": "Call.account",
    "API_KEY": "Call.apiKey",
    "STATUS": "Call.status",
    "OPERATION": "Call.operation",
    "SERVED_MODEL": "Call.servedModel",
    "ERROR_TYPE": "Call.errorType",
    "USER": "Call.user",
}
ORDERED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "AMOUNT": ("Call.amount", "Amount.amount"),
    "CALLS": (),
    "ERRORS": ("Call.status",),
    "TOTAL_TOKENS": ("Call.totalTokens",),
    "CACHE_READ_TOKENS": ("Call.cacheReadTokens",),
    "CACHE_WRITE_TOKENS": ("Call.cacheWriteTokens",),
    "TOKEN_EFFICIENCY": ("Call.tokenEfficiency",),
    "BUCKET_START": ("Call.startedAt",),
    KEY: (),
}


@dataclass(frozen=True, slots=True)
class CostRequest:
    """Names are GraphQL's. `row_figures` and `total_figures`: what of rows and totals is asked for; None: nothing.

    `order` is (field, descending); `after`: the cursor that the rows follow. `cursors`: those of the rows are wanted,
    `before`: whether there are rows before the page, `counted`: how many there are in all. `fill`: buckets without
    calls are rows too. `corrections_moved`: corrections count when they were made. Only what is asked for is worked
    out.
    """

    predicate: Predicate = EVERYTHING
    dimensions: Sequence[str] = ()
    tags: Sequence[str] = ()
    bucket: TimeBucket | None = None
    zone: str = "UTC"
    fill: bool = False
    order: Sequence[tuple[str, bool]] = ()
    first: int = FIRST_DEFAULT
    after: str | None = None
    row_figures: frozenset[str] | None = frozenset()
    total_figures: frozenset[str] | None = None
    cursors: bool = False
    before: bool = False
    counted: bool = False
    corrections_moved: bool = False


def check_request(reader: UsageReader, request: CostRequest) -> None:
    """Refuse what cannot be asked (BadInputError), or not by this role (ForbiddenError)."""
    if not 1 <= request.first <= FIRST_MAX:
        raise BadInputError(f"`first` is 1 to {FIRST_MAX}")
    for name, given in (("groupBy", request.dimensions), ("groupByTags", request.tags)):
        if len(set(given)) != len(given):
            raise BadInputError(f"`{name}` names something twice")
    _check_order(request)
    if request.fill:
        _check_fill(request)
    _check_tags(reader, request.tags)
    grouped = [GROUPED_BY[name] for name in request.dimensions]
    grouped += ["Call.tags", "Tag.key", "Tag.value"] if request.tags else []
    grouped += ["Call.startedAt"] if request.bucket else []
    reader.refuse_unseen([*grouped, *(field for name, _ in request.order for field in ORDERED_BY[name])])


def _check_fill(request: CostRequest) -> None:
    if request.bucket is None:
        raise BadInputError("`fillBuckets` needs `bucket`")
    begins = (part for part in conjuncts(request.predicate) if isinstance(part, Compare) and part.field == "startedAt")
    if not any(part.operator in ("gte", "gt", "eq") for part in begins):
        raise BadInputError("`fillBuckets` wants to know from when: add `startedAt: {gte: ...}`")


def _check_order(request: CostRequest) -> None:
    fields = [field for field, _ in request.order]
    if len(set(fields)) != len(fields):
        raise BadInputError("`orderBy` names a field twice")
    if "AMOUNT" in fields and single_currency(request.predicate) is None:
        raise BadInputError("an order by `AMOUNT` compares within one currency: add `currency: {eq: ...}`")
    if KEY in fields[:-1]:
        raise BadInputError("nothing comes after `KEY` in an order: what rows are grouped by tells them apart")
    if "BUCKET_START" in fields and request.bucket is None:
        raise BadInputError("an order by `BUCKET_START` needs `bucket`")


def _check_tags(reader: UsageReader, tags: Sequence[str]) -> None:
    if len(tags) > TAGS_MAX:
        raise BadInputError(f"`groupByTags` takes at most {TAGS_MAX} keys")
    for key in tags:
        if key not in reader.scope.policy.tag_dimensions:
            allowed = ", ".join(f"`{name}`" for name in sorted(reader.scope.policy.tag_dimensions)) or "none"
            raise BadInputError(f"`{key[:60]}` is not a tag that the policy allows to group by; it allows {allowed}")


assert set(ORDERED_BY) == set(ORDERS)
