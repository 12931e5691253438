"""How long GraphQL operations took, for `/metrics`."""

from typing import Final

from prometheus_client import Histogram

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


def observe_operation(path: str, seconds: float, *, failed: bool) -> None:
    """Count one operation. `path`: one of `PATHS`; `failed`: its answer has errors."""
    _CHILDREN[path, failed].observe(seconds)
