"""What `calledger status` says of times."""

from datetime import UTC, datetime, timedelta

import pytest

from service.commands.service.status import since

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(hours=3), "3.0 hours ago"),
        (timedelta(seconds=-30), "0.0 hours ago"),
        (timedelta(days=-200), "planned at 2027-06-17 12:00Z by a clock that was ahead"),
    ],
)
def test_a_purge_of_a_time_to_come_is_no_number_of_hours(ago: timedelta, said: str) -> None:
    """A clock that was months ahead has been put right: the last purge was planned by it, and that is what is said."""
    assert since(NOW - ago, NOW) == said
