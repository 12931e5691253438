"""Percentiles from the histogram."""

from math import ceil, log

import pytest

from service.query.usage.percentiles import bucket_middle_ms, histogram_of, percentile_ms


def bucket_of(latency_ms: int) -> int:
    return min(ceil(log(max(latency_ms, 1)) / log(1.1)), 159)


def test_every_latency_is_within_five_percent_of_its_bucket() -> None:
    """From a millisecond to an hour."""
    worst = max(
        abs(bucket_middle_ms(bucket_of(ms)) - ms) / ms for ms in [*range(1, 20_000), *range(20_000, 3_600_001, 37)]
    )
    assert worst <= 0.05


@pytest.mark.parametrize(
    ("percent", "counts", "bucket"),
    [
        (50, [1, 1], 10),
        (51, [1, 1], 20),
        (99, [99, 1], 10),
        (100, [99, 1], 20),
        (1, [1, 10**15], 20),
        (50, [1, 10**15], 20),
    ],
)
def test_a_percentile_is_the_value_of_the_nearest_rank(percent: int, counts: list[int], bucket: int) -> None:
    """Rank ceil(percent/100 x n), as percentile_disc has it."""
    assert percentile_ms([10, 20], counts, percent) == bucket_middle_ms(bucket)


def test_no_calls_have_no_percentile() -> None:
    """Null, not zero."""
    assert percentile_ms([], [], 50) is None
    assert percentile_ms([3], [0], 50) is None


@pytest.mark.parametrize(
    "entries",
    [
        {0: 1},
        {0: 10**12 - 1},
        {159: 7},
        {0: 1, 159: 10},
        {3: 1000, 4: 999_999_999_999, 5: 10**11, 80: 120},
        {12: 0, 13: 5},
    ],
)
def test_a_histogram_is_read_from_its_number(entries: dict[int, int]) -> None:
    """Twelve digits a bucket, the lowest last; empty buckets are left out."""
    sketch = sum(count * 10 ** (12 * bucket) for bucket, count in entries.items())
    found = {bucket: count for bucket, count in entries.items() if count}
    assert histogram_of(str(sketch)) == (list(found), list(found.values()))


@pytest.mark.parametrize("sketch", [None, "0"])
def test_a_number_of_nothing_is_an_empty_histogram(sketch: str | None) -> None:
    """No calls, or none that say how long they took."""
    assert histogram_of(sketch) == ([], [])
