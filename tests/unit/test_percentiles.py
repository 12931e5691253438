"""Percentiles from the histogram."""

from math import ceil, log

import pytest

from service.query.percentiles import bucket_middle_ms, percentile_ms


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
