"""Calls that cost dollars, and moments around now to ask about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from usage_ledger import Reported

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
DAY = timedelta(days=1)
# The windows of the tier `standard`: calls and quarter hours 400 days, days 2557.
CALLS_FROM = NOW - 400 * DAY
CALLS = frozenset({"calls"})


def usd(amount: str | None, **fields: object) -> Reported:
    return Reported(
        **{
            "started_at": NOW - DAY,
            "amount": amount and Decimal(amount),
            "currency": "USD",
            "amount_source": 2,
            **fields,
        }  # type: ignore[arg-type]
    )
