"""The histogram of operations adds up as Prometheus reads it."""

from prometheus_client import REGISTRY

from service.api.execution.context import Trace, observe

NAME = "calledger_graphql_seconds"


def observed(path: str, seconds: float, *, failed: bool) -> None:
    """Count one operation that took so long on this path."""
    observe(Trace(0, seconds, path, 1, 0, ("INTERNAL",) if failed else ()))


def sample(part: str, path: str, errors: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(f"{NAME}_{part}", {"path": path, "errors": errors, **labels})
    assert value is not None
    return value


def test_buckets_hold_what_is_below_them() -> None:
    """Each bucket counts what took as long as its bound or less, the last one everything; the sum is exact."""
    bounds = ("0.001", "0.002", "15.0", "+Inf")
    before = {bound: sample("bucket", "compiled", "no", le=bound) for bound in bounds}
    seconds, failed = sample("sum", "compiled", "no"), sample("count", "ordinary", "yes")

    for taken in (0.0005, 0.001, 0.0011, 0.5, 15, 16):
        observed("compiled", taken, failed=False)
    observed("ordinary", 0.25, failed=True)

    added = {bound: sample("bucket", "compiled", "no", le=bound) - before[bound] for bound in bounds}
    assert added == {"0.001": 2, "0.002": 3, "15.0": 5, "+Inf": 6}
    assert round(sample("sum", "compiled", "no") - seconds, 9) == 31.5026
    assert sample("count", "ordinary", "yes") == failed + 1
