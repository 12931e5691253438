"""The histogram of operations adds up as Prometheus reads it."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.api.execution.metrics import Timings


def test_buckets_hold_what_is_below_them() -> None:
    """Each bucket counts what took as long as its bound or less, the last one everything; the sum is exact."""
    timings, registry = Timings(), CollectorRegistry()
    registry.register(timings)
    for seconds in (0.0005, 0.001, 0.0011, 0.5, 15, 16):
        timings.observe("compiled", seconds, failed=False)
    timings.observe("ordinary", 0.25, failed=True)

    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    found = {
        (sample.name.removeprefix("calledger_graphql_seconds"), *sorted(sample.labels.items())): sample.value
        for sample in family.samples
    }
    assert family.type == "histogram"
    labels = (("errors", "no"), ("path", "compiled"))
    counts = {
        bound: found["_bucket", labels[0], ("le", bound), labels[1]] for bound in ("0.001", "0.002", "15.0", "+Inf")
    }
    assert counts == {"0.001": 2, "0.002": 3, "15.0": 5, "+Inf": 6}
    assert (found["_count", *labels], found["_sum", *labels]) == (6, 31.5026)
    assert found["_count", ("errors", "yes"), ("path", "ordinary")] == 1
    assert found["_count", ("errors", "yes"), ("path", "compiled")] == 0
