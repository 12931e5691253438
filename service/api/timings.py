"""How long operations took, as `/metrics` tells it."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import REGISTRY, Collector

PATHS: Final = ("compiled", "ordinary")
_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15)
_NAMES: Final = [*(str(float(bound)) for bound in _BOUNDS), "+Inf"]


class Timings(Collector):
    """A histogram of seconds, by the path that answered and whether with errors.

    The library's own histogram takes two locks and a walk over its bounds for every operation. This one is added to by
    one thread, the event loop's, and only whoever asks for it adds up.
    """

    def __init__(self) -> None:
        self._counts = {(path, failed): [0] * len(_NAMES) for path in PATHS for failed in (False, True)}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, path: str, seconds: float, *, failed: bool) -> None:
        key = (path, failed)
        self._counts[key][bisect_left(_BOUNDS, seconds)] += 1
        self._sums[key] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "calledger_graphql_seconds",
            "GraphQL operations by the path that answered them, and whether with errors",
            labels=["path", "errors"],
        )
        for (path, failed), counts in self._counts.items():
            # Bucket by bucket, each with those below it.
            buckets = [(name, sum(counts[: index + 1])) for index, name in enumerate(_NAMES)]
            family.add_metric([path, "yes" if failed else "no"], buckets, self._sums[path, failed])
        yield family


TIMINGS: Final = Timings()
REGISTRY.register(TIMINGS)
