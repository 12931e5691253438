"""Sums over all accounts: which of their tables answers which part of a plan's piece.

They have a row for each tier, bucket, model, provider and currency, so they answer who may see every account and asks
for none, and not by API key or status. Whole UTC days come from `usage_day_all`; of quarter hours, those that make an
hour which no bucket's edge cuts come from `usage_hour_all`: most local days begin at a whole hour, all others cut one
hour a day.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from policies.model import Store
from service.query.params import Params
from service.query.usage_plan import Piece, ceil_to, floor_to

TABLES: Final = frozenset({"usage_quarter_all", "usage_hour_all", "usage_day_all"})
FILTERS: Final = frozenset({"model", "provider", "currency"})
"""What they can be filtered by; time apart."""

CUT_HOURS_MAX: Final = 400
"""With more hours cut than a year has days, quarter hours are read in one range."""

_HOUR: Final = timedelta(hours=1)
_QUARTER: Final = timedelta(minutes=15)


def overall_ranges(
    piece: Piece, start: datetime, edges: Sequence[datetime], params: Params
) -> Iterator[tuple[str, str]]:
    """(table, condition on `bucket_at`) for the part of a rollup's piece from `start` on, cut at `edges`."""
    if piece.store is Store.USAGE_DAY:
        yield "usage_day_all", _between(start, piece.end, params)
        return
    cut = {floor_to(edge, _HOUR) for edge in (start, piece.end, *edges) if edge != floor_to(edge, _HOUR)}
    inside = sorted(hour for hour in cut if start < hour + _HOUR and hour < piece.end)
    if len(inside) > CUT_HOURS_MAX:
        yield "usage_quarter_all", _between(start, piece.end, params)
        return
    quarters = [hour + place * _QUARTER for hour in inside for place in range(4)]
    quarters = [quarter for quarter in quarters if start <= quarter < piece.end]
    if quarters:
        yield "usage_quarter_all", f"bucket_at = ANY ({params.bind(tuple(quarters), 'timestamptz[]')})"
    first, last = ceil_to(start, _HOUR), floor_to(piece.end, _HOUR)
    if first < last:
        hours = f"bucket_at <> ALL ({params.bind(tuple(inside), 'timestamptz[]')})"
        yield "usage_hour_all", f"{_between(first, last, params)} AND {hours}"


def _between(start: datetime, end: datetime, params: Params) -> str:
    return f"bucket_at >= {params.bind(start, 'timestamptz')} AND bucket_at < {params.bind(end, 'timestamptz')}"
