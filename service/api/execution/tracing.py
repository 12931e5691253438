"""Metrics and traces of every operation, whichever path answered it: for Prometheus, and OpenTelemetry if installed.

Nothing of it is a client's text: no query, no names, no values.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client import Histogram
from strawberry.types.execution import ExecutionResult

from service.api.execution.context import Context
from service.logs import get_logger

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
