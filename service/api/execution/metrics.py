"""How long operations took, as `/metrics` tells it."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from service.shared import Shared

PATHS: Final = ("compiled", "ordinary")
_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15)
_NAMES: Final = [*(str(float(bound)) for bound in _BOUNDS), "+Inf"]
_ROW: Final = len(_NAMES) + 1


class Timings(Collector):
    """A histogram of seconds, by the path that answered and whether with errors.

    The library's own histogram takes two locks and a walk over its bounds for every operation. This one is added to by
    one thread, the event loop's, and only whoever asks for it adds up.
    """

    def __init__(self) -> None:
        self._keys = [(path, failed) for path in PATHS for failed in (False, True)]
        self._processes = [self._rows(memoryview(bytearray(8 * _ROW * len(self._keys))).cast("d"))]
        self._own = self._processes[0]

    def share(self, shared: Shared) -> None:
        """Count in memory that several processes share, and tell of all of them together."""
        self._processes = [self._rows(shared.counts(worker)) for worker in range(shared.workers)]
        self._own = self._processes[shared.worker]

    def _rows(self, view: "memoryview[float]") -> dict[tuple[str, bool], "memoryview[float]"]:
        """By path and outcome: how many took up to each of the bounds, and seconds in all."""
        return {key: view[place * _ROW : (place + 1) * _ROW] for place, key in enumerate(self._keys)}

    def observe(self, path: str, seconds: float, *, failed: bool) -> None:
        """Count one operation of `seconds`. `path` is one of PATHS; `failed`: it was answered with errors."""
        figures = self._own[path, failed]
        figures[bisect_left(_BOUNDS, seconds)] += 1
        figures[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram over all processes, cumulative by bucket as Prometheus reads it."""
        family = HistogramMetricFamily(
            "calledger_graphql_seconds",
            "GraphQL operations by the path that answered them, and whether with errors",
            labels=["path", "errors"],
        )
        for path, failed in self._keys:
            figures = [sum(of_all) for of_all in zip(*(rows[path, failed] for rows in self._processes), strict=True)]
            # Bucket by bucket, each with those below it.
            buckets = [(name, sum(figures[: index + 1])) for index, name in enumerate(_NAMES)]
            family.add_metric([path, "yes" if failed else "no"], buckets, figures[-1])
        yield family


TIMINGS: Final = Timings()
REGISTRY.register(TIMINGS)
