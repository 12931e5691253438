"""Sums that rest on rollups: which of their tables answers which part of a plan's segment.

Over all accounts they have a row for each tier, bucket, model, provider and currency, so they answer who may see every
account and asks for none, and not by API key or status. By API key they have a row for each half hour, account, API key
and currency, for anybody. Of quarter hours, those that make an hour (half an hour) which no bucket's edge cuts are read
as one: most local days begin at a whole hour, nearly all others at half an hour.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policies.policy.model import Store
from service.query.buckets.bucket_edges import EdgeRun, Edges
from service.query.model.parameters import Params
from service.query.usage.plan import UsageSegment, ceil_to, floor_to

CUT_MAX: Final = 400
"""With more cut than a year has days, quarter hours are read in one range."""

_QUARTER: Final = timedelta(minutes=15)
_NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Tables:
    """Where one kind of sums lies by UTC day, by quarter hour, and by `grain`, several quarter hours.

    `filters`: what it can be filtered by, time apart.
    """

    day: str
    quarter: str
    several: str
    grain: timedelta
    filters: frozenset[str]


OVERALL: Final = Tables(
    "usage_day_all",
    "usage_quarter_all",
    "usage_hour_all",
    timedelta(hours=1),
    frozenset({"model", "provider", "currency"}),
)
BY_KEY: Final = Tables(
    "usage_day",
    "usage_quarter",
    "usage_half_hour",
    timedelta(minutes=30),
    frozenset({"account", "apiKey", "currency"}),
)
OVER_ALL_ACCOUNTS: Final = frozenset({OVERALL.day, OVERALL.quarter, OVERALL.several})
"""Tables that name no account."""


def ranges(
    tables: Tables, segment: UsageSegment, start: datetime, edges: Edges, params: Params
) -> Iterator[tuple[str, str]]:
    """(table, condition on `bucket_at`) for the part of a rollup's segment from `start` on, cut at `edges`."""
    if segment.store is Store.USAGE_DAY:
        yield tables.day, _between(start, segment.end, params)
        return
    grain = tables.grain
    inside = _cut_grains(segment, start, edges, grain)
    if inside is None:
        yield tables.quarter, _between(start, segment.end, params)
        return
    quarters = [moment + number * _QUARTER for moment in inside for number in range(grain // _QUARTER)]
    quarters = [quarter for quarter in quarters if start <= quarter < segment.end]
    if quarters:
        yield tables.quarter, f"bucket_at = ANY ({params.bind(tuple(quarters), 'timestamptz[]')})"
    first, last = ceil_to(start, grain), floor_to(segment.end, grain)
    if first < last:
        uncut = f" AND bucket_at <> ALL ({params.bind(tuple(inside), 'timestamptz[]')})" if inside else ""
        yield tables.several, f"{_between(first, last, params)}{uncut}"


def of_finer(times: str, grain: timedelta, moment: str) -> str:
    """A condition of `ranges` on buckets of `grain`, as one on `moment`, the column of times that are as fine or finer.
    Its ranges are whole buckets.
    """
    for listed, width in ((" = ANY (", _QUARTER), (" <> ALL (", grain)):
        bucket = f"date_bin('{width.total_seconds():.0f} seconds', {moment}, '1970-01-01 00:00:00+00')"
        times = times.replace(f"bucket_at{listed}", f"{bucket}{listed}")
    return times.replace("bucket_at", moment) if moment != "bucket_at" else times


def _cut_grains(segment: UsageSegment, start: datetime, edges: Edges, grain: timedelta) -> Sequence[datetime] | None:
    """The beginnings of the grains of [start, segment.end) that an edge cuts, ascending; None: more than CUT_MAX."""
    cut: set[datetime] = set()
    runs = edges.inside(start - grain, segment.end + grain)
    for run in (EdgeRun(start, grain, 1), EdgeRun(segment.end, grain, 1), *runs):
        if run.step % grain == _NOTHING and run.first == floor_to(run.first, grain):
            continue
        for edge in run:
            moment = floor_to(edge, grain)
            if edge != moment and start < moment + grain and moment < segment.end:
                cut.add(moment)
            if len(cut) > CUT_MAX:
                return None
    return sorted(cut)


def _between(start: datetime, end: datetime, params: Params) -> str:
    return f"bucket_at >= {params.bind(start, 'timestamptz')} AND bucket_at < {params.bind(end, 'timestamptz')}"
