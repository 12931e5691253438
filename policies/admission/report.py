"""What an ingest adapter read from one row: normalised, not yet admitted.

Every moment is an aware datetime in UTC; `started_at` is floored to milliseconds. Optional text that came empty is
None ("not reported"). Nothing here may be stored, logged or shown: only `Admission.admit` makes it storable. What may
hold anybody's text is left out of reprs.

Structs of msgspec, and not dataclasses: there is one of each for every row, and of 37 fields most are not given.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value as a JSON parser returns it."""

Source: TypeAlias = Literal[
    "native",
    "litellm",
    "otlp",
    "new-api",
    "one-api",
    "csv",
    "langfuse",
    "openrouter",
    "helicone",
    "cloudflare",
    "portkey",
    "bifrost",
    "agentgateway",
]
"""The gateway's family, whatever path its report came by."""

AmountSource: TypeAlias = Literal["BILLED", "REPORTED", "ESTIMATED", "ROUNDED"]
"""Where an amount comes from; the names are GraphQL's."""

AmountUnknown: TypeAlias = Literal["NOT_REPORTED", "NOT_PRICED", "UNREADABLE", "NEGATIVE"]
"""Why a call has no amount; the names are GraphQL's."""


class AmountPart(Struct, gc=False, omit_defaults=True):
    """One part of an amount, quantity x unit price, in the currency of the call.

    `price_list`: the version of our list that the unit price is from; None: the part was reported.
    """

    meter: str
    amount: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    price_list: str | None = None


class Attributes(Struct, gc=False):
    """What few gateways report of a call: what it belongs to, how it was routed, what it used beside tokens.

    `parent_span_id` is the id of the call or the span that it is a part of, in the trace of `trace_id`. `attempt`
    counts from 1: the second is the first retry or fallback. `units` are by name (`images`, `seconds`, `searches`),
    each zero or more.
    """

    trace_id: str | None = None
    session_id: str | None = None
    attempt: int | None = None
    cache_hit: bool | None = None
    deployment: str | None = None
    team: str | None = None
    organization: str | None = None
    normalized_error: str | None = None
    provider_request_id: str | None = None
    units: dict[str, Decimal] | None = None
    team_id: str | None = None
    organization_id: str | None = None
    parent_span_id: str | None = None


class _Shown(Struct, gc=False):
    """What has a repr without some of its fields."""

    unshown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if name not in self.unshown]
        return f"{type(self).__name__}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"


class ErrorReport(_Shown, gc=False):
    """The error of a failed call, as it came."""

    unshown: ClassVar = frozenset(("message", "parameters"))

    type: str
    code: str | None = None
    message: str | None = None
    parameters: dict[str, Json] = {}
    occurred_at: datetime | None = None


class Report(_Shown, gc=False):
    """One call as its gateway reported it.

    `user` is the plain id; `persons` are further ids of persons, which are not stored. `content` holds the strings of
    the content fields of the same report, `identifiers` the names of tools, models and addresses that stand in or
    beside them. All of these are looked for in the report's other texts, and then gone. `amount_unknown` says why there
    is no amount where one was reported and is none; what was not reported is estimated. `dropped` counts the fields
    that the adapter left out: by name only when the name is known to us, else under `unknown`. `warnings` say why a
    field was left out that was not as it should be. `billed_once`: the id stands for one bill, whenever its reports say
    that it began. `within` is the `source_id` of what this call is a part of.
    """

    unshown: ClassVar = frozenset(("user", "tags", "content", "identifiers", "persons"))

    source: Source
    source_id: str
    started_at: datetime
    model: str
    failed: bool
    account: str | None = None
    api_key: str | None = None
    user: str | None = None
    served_model: str | None = None
    provider: str | None = None
    operation: str | None = None
    streamed: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    amount_source: AmountSource | None = None
    amount_parts: list[AmountPart] | None = None
    corrects: str | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    tags: dict[str, str] = {}
    error: ErrorReport | None = None
    content: list[str] = []
    dropped: dict[str, int] = {}
    attributes: Attributes | None = None
    amount_unknown: AmountUnknown | None = None
    identifiers: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    billed_once: bool = False
    within: str | None = None
