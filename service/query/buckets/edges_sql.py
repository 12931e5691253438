"""Edges of time buckets in a statement."""

from datetime import timedelta
from typing import Final

from service.query.buckets.bucket_edges import Edges
from service.query.model.parameters import Params

_BOUND_MAX: Final = 100
"""More edges than these take longer to bind, one by one on the event loop, than to be made by the database."""
_SECOND: Final = timedelta(seconds=1)


def bounds(edges: Edges, params: Params) -> str:
    """The edges as an array: bound as they are, or made by the database of the runs that they are."""
    if len(edges) <= _BOUND_MAX:
        return params.bind(tuple(edges), "timestamptz[]")
    first = params.bind(tuple(run.first for run in edges.runs), "timestamptz[]")
    step = params.bind(tuple(run.step // _SECOND for run in edges.runs), "bigint[]")
    count = params.bind(tuple(run.count for run in edges.runs), "integer[]")
    # Seconds, because a day of an interval is one of the session's time zone. By place: an unnest of all three has its
    # columns mixed up by Citus 13 in a part of a union that the coordinator executes.
    return (
        f"ARRAY(SELECT ({first})[run] + number * ({step})[run] * interval '1 second' "  # noqa: S608 - our own names
        f"FROM generate_subscripts({first}, 1) AS run, generate_series(0, ({count})[run] - 1) AS number ORDER BY 1)"
    )
