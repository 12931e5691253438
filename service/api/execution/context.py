"""One operation while it is answered: what every resolver works with, what its key pays, and how long it took.

Metrics and traces of an operation are the same whichever path answered it: for Prometheus, and for OpenTelemetry where
it is installed. Nothing of them is a client's text: no query, no names, no values.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, NamedTuple

import strawberry
from graphql import GraphQLError
from prometheus_client import Histogram
from strawberry.types.execution import ExecutionResult

from service.access.idempotency import Idempotency
from service.access.principal import Principal
from service.api.execution.errors import Code, refused
from service.api.execution.limits import Bucket, check_variables
from service.ledger import Ledger
from service.logs import get_logger
from service.query.model.errors import BadInputError
from service.query.model.scope import Scope
from service.query.reader import Reader, TimedReading
from service.storage.errors import DatabaseUnavailableError

try:
    from opentelemetry import trace as opentelemetry
except ImportError:  # an extra: `pip install 'calledger[otel]'`
    opentelemetry = None

log = get_logger()

_TRACER: Final = opentelemetry.get_tracer("calledger") if opentelemetry is not None else None

PATHS: Final = ("compiled", "ordinary")
_SECONDS: Final = Histogram(
    "calledger_graphql_seconds",
    "GraphQL operations by the path that answered them, and whether with errors",
    ["path", "errors"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)
_CHILDREN: Final = {
    (path, failed): _SECONDS.labels(path, "yes" if failed else "no") for path in PATHS for failed in (False, True)
}
_SPENT_MAX: Final = 512


@dataclass(slots=True)
class Context:
    """One request: who asks, what reads for them, and what they have spent.

    `ordinary`: a compiled operation has had no answer, and need not be asked again. `sizes` notes how many entries each
    list really had, for the actual cost, `variable_points` how much the variables hold (`limits.py`). `export_asked`
    tells who writes exports that there is one to write. `idempotency_key`: the client's name for the request, under
    which `idempotency` knows it again. `holds_secret`: a key or token is in the answer.
    """

    scope: Scope
    reader: Reader
    bucket: Bucket
    max_cost: int
    principal: Principal | None = None
    request_id: str | None = None
    ledger: Ledger | None = None
    export_asked: Callable[[], None] = lambda: None
    idempotency: Idempotency | None = None
    idempotency_key: str | None = None
    services: dict[str, Any] = field(default_factory=dict[str, Any])
    sizes: dict[tuple[str | int, ...], int] = field(default_factory=dict[tuple[str | int, ...], int])
    requested_cost: int = 0
    variable_points: int = 0
    ordinary: bool = False
    holds_secret: bool = False
    http_headers: dict[str, str] = field(default_factory=dict[str, str])


Info = strawberry.Info[Context, Any]
"""What Strawberry gives a resolver."""


def reading(context: Context) -> TimedReading:
    """A connection that row-level security limits to the requester's accounts."""
    return context.reader.connection(context.scope)


@dataclass(slots=True)
class Priced:
    """What a field costs, alone and for each entry of the list that it holds; `size` of them were asked for."""

    own: int = 1
    per_entry: int = 0
    size: int = 1
    nested: dict[str, "Priced"] = field(default_factory=dict[str, "Priced"])
    _in_advance: int | None = None
    _spent: dict[tuple[tuple[tuple[str | int, ...], int], ...], int] = field(default_factory=dict)

    @property
    def in_advance(self) -> int:
        """The cost that is charged in advance. It is worked out once: a compiled operation is charged for often."""
        if self._in_advance is None:
            self._in_advance = self.total()
        return self._in_advance

    def spent(self, sizes: Mapping[tuple[str | int, ...], int]) -> int:
        """The sum with the sizes that the lists really had, remembered: most pages are full ones."""
        key = tuple(sizes.items())
        spent = self._spent.get(key)
        if spent is None:
            if len(self._spent) >= _SPENT_MAX:
                self._spent.clear()
            spent = self._spent[key] = self.total(sizes)
        return spent

    def total(self, sizes: Mapping[tuple[str | int, ...], int] | None = None, path: tuple[str | int, ...] = ()) -> int:
        """The sum. `sizes`: how many entries a list really had, by its path; without them, as asked for."""
        size = self.size if sizes is None else sizes.get(path, self.size)
        rest = sum(part.total(sizes, (*path, name)) for name, part in self.nested.items())
        return self.own + self.per_entry * size + rest


async def charge(priced: Priced, context: Context) -> GraphQLError | None:
    """Take the price from the key's bucket; the refusal when it is too high, or there is not enough left."""
    cost = priced.in_advance
    context.requested_cost = cost
    if cost > context.max_cost:
        message = f"the operation costs {cost}, more than {context.max_cost}: ask for fewer fields or smaller pages"
        return refused(Code.MAX_COST_EXCEEDED, message)
    try:
        return None if await context.bucket.take(cost) else overspent(cost, context)
    except DatabaseUnavailableError as error:
        return refused(Code.UNAVAILABLE, str(error))


def overspent(cost: int, context: Context) -> GraphQLError:
    """The refusal of a key whose bucket does not hold `cost`; says when it will."""
    wait = max(1, round(context.bucket.seconds_until(cost) + 0.5))
    return throttled(f"the key has spent its cost for now: try again in {wait} seconds", wait, context)


def throttled(message: str, seconds: int, context: Context, **extensions: object) -> GraphQLError:
    """A refusal that ends by itself: `Retry-After` says when, and the error too, for who sees no headers."""
    context.http_headers["Retry-After"] = str(seconds)
    return GraphQLError(message, extensions={"code": Code.THROTTLED.value, "retryAfterSeconds": seconds, **extensions})


def settle(priced: Priced | None, context: Context, *, answered: bool) -> dict[str, Any]:
    """`extensions` of an answer; what was charged and not spent goes back. `priced` None: nothing was run.

    A root field that failed has no size and is charged as asked, and so is an operation that is not `answered` at all:
    a question that fails on purpose must not be a cheap one.
    """
    actual, requested, bucket = None, context.requested_cost, context.bucket
    if priced is not None:
        actual = priced.spent(context.sizes) if answered else requested
        if actual != requested:
            bucket.give_back(requested - actual)
    cost: dict[str, Any] = {"requestedQueryCost": requested, "actualQueryCost": actual}
    if bucket.capacity:
        cost["throttleStatus"] = {
            "maximumAvailable": bucket.capacity,
            "currentlyAvailable": bucket.available,
            "restoreRate": bucket.restore_rate,
        }
        _rate_limit_headers(context, cost["throttleStatus"]["currentlyAvailable"])
    return {"cost": cost}


def _rate_limit_headers(context: Context, available: int) -> None:
    """`RateLimit` of the answer, for who reads headers (IETF draft-ietf-httpapi-ratelimit-headers)."""
    bucket = context.bucket
    restored_s = ceil((bucket.capacity - available) / bucket.per_second) if bucket.per_second else 0
    context.http_headers["RateLimit"] = f'"cost";r={available};t={restored_s}'
    context.http_headers["RateLimit-Policy"] = f'"cost";q={bucket.capacity};w=60'


def too_large(variables: object, context: object) -> ExecutionResult | None:
    """The refusal of variables that are out of bounds, before anything else looks at them."""
    if not variables or not isinstance(variables, dict):
        return None
    try:
        points = check_variables(variables)
    except BadInputError as error:
        return ExecutionResult(None, [refused(Code.BAD_USER_INPUT, str(error))])
    if isinstance(context, Context):
        context.variable_points = points
    return None


class Trace(NamedTuple):
    """One operation. `began_ns`: since 1970; `path`: `compiled` or `ordinary`; `cost`: as charged in advance; `rows`:
    entries of all its lists; `codes`: of its errors, from the closed list.
    """

    began_ns: int
    seconds: float
    path: str
    cost: int
    rows: int
    codes: tuple[str, ...]


Hook = Callable[[Trace], None]


def observe(trace: Trace) -> None:
    """Add the operation to `/metrics`."""
    _CHILDREN[trace.path, bool(trace.codes)].observe(trace.seconds)


def span(trace: Trace) -> None:
    """A span of the process's OpenTelemetry provider, under whatever span the request runs in."""
    attributes = {
        "graphql.operation.path": trace.path,
        "calledger.cost": trace.cost,
        "calledger.rows": trace.rows,
        "calledger.errors": trace.codes,
    }
    assert _TRACER is not None, "there is no such hook without OpenTelemetry"
    _TRACER.start_span("graphql", start_time=trace.began_ns, attributes=attributes).end(
        trace.began_ns + round(trace.seconds * 1e9)
    )


def shipped() -> Sequence[Hook]:
    """Our own hooks. `span` only where the process has a provider: `opentelemetry-instrument` sets it beforehand."""
    if opentelemetry is None or isinstance(opentelemetry.get_tracer_provider(), opentelemetry.ProxyTracerProvider):
        return (observe,)
    return (observe, span)


class Tracing:
    """Calls its hooks for each operation of one schema. A hook that fails is logged, and the answer stays."""

    def __init__(self) -> None:
        self.hooks = list(shipped())

    def begin(self) -> tuple[int, float]:
        """The moment at which the operation begins: nanoseconds since 1970, and seconds by the performance counter."""
        return time.time_ns(), time.perf_counter()

    def end(self, begun: tuple[int, float], path: str, result: ExecutionResult, context: Any) -> None:  # noqa: ANN401
        """Hand the operation that `begin` began to every hook; `path` is `compiled` or `ordinary`."""
        seconds = time.perf_counter() - begun[1]
        cost, rows = (context.requested_cost, sum(context.sizes.values())) if isinstance(context, Context) else (0, 0)
        codes = tuple(str((error.extensions or {}).get("code")) for error in result.errors) if result.errors else ()
        ended = Trace(begun[0], seconds, path, cost, rows, codes)
        for hook in self.hooks:
            try:
                hook(ended)
            except Exception:
                log.exception("a tracing hook failed")
