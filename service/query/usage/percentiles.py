"""Percentiles from the latency histogram: pure.

Bucket b of `calledger_latency_bucket` holds the whole milliseconds in (1.1^(b-1), 1.1^b], bucket 0 those up to 1, the
last all that are longer. The middle of a bucket, taken so that both its ends are equally far in proportion, is within
5 % of each (as in DDSketch, VLDB 2019, section 2.1).

PostgreSQL adds histograms up as one number each, of twelve decimal digits a bucket, the lowest bucket last.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import floor

GROWTH = 1.1
LAST_BUCKET = 159
_DIGITS = 12


def bucket_middle_ms(bucket: int) -> float:
    """Milliseconds within 5 % of every latency of the bucket; of the last, its lower end."""
    if bucket <= 0:
        return 1.0
    low = floor(GROWTH ** (bucket - 1)) + 1
    if bucket >= LAST_BUCKET:
        return float(low)
    high = max(floor(GROWTH**bucket), low)
    return round(2 * low * high / (low + high), 3)


def histogram_of(sketch: str | None) -> tuple[list[int], list[int]]:
    """Buckets, ascending, and how many calls each has, without the empty ones; None is none."""
    if sketch is None:
        return [], []
    lowest = (len(sketch) - len(sketch.rstrip("0"))) // _DIGITS
    highest = (len(sketch) - 1) // _DIGITS
    digits = sketch.zfill((highest + 1) * _DIGITS)
    counts = [int(digits[i : i + _DIGITS]) for i in range((highest - lowest) * _DIGITS, -1, -_DIGITS)]
    found = [(bucket, count) for bucket, count in enumerate(counts, lowest) if count]
    return [bucket for bucket, _ in found], [count for _, count in found]


def percentile_ms(buckets: Sequence[int], counts: Sequence[int], percent: int) -> float | None:
    """The nearest-rank percentile (the value of rank ceil(percent/100 x n)); `buckets` ascend. None without calls."""
    total = sum(counts)
    if total == 0:
        return None
    rank = max(-(-total * percent // 100), 1)
    reached = accumulate(counts)
    return next(bucket_middle_ms(bucket) for bucket, count in zip(buckets, reached, strict=True) if count >= rank)
